package lm

import (
	"fmt"
	"unsafe"

	"github.com/trtforge/trtforge/onnx"
)

// dtypes are the element types that a contract may name.
var dtypes = map[string]onnx.DType{
	"float": onnx.Float32, "float16": onnx.Float16, "bfloat16": onnx.BFloat16,
	"int64": onnx.Int64, "int32": onnx.Int32, "bool": onnx.Bool,
}

// dtype is the element type of that name in lower case, as ONNX spells it.
func dtype(name string) (onnx.DType, error) {
	if d, ok := dtypes[name]; ok {
		return d, nil
	}
	return 0, fmt.Errorf("element type %q is not one that a decoder can feed", name)
}

// aligned is n bytes that begin where an int64 may; runtimes want more than a
// byte's alignment of what they use in place.
func aligned(n int64) []byte {
	words := make([]int64, n/8+1) // never empty, so that a view of no bytes has an address
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), len(words)*8)[:n]
}

// floats views the first n float32 of b, which aligned made.
func floats(b []byte, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

// ints is a buffer of whole numbers in the width that the graph asks for.
type ints struct {
	bytes []byte
	typ   onnx.DType
	wide  []int64 // exactly one of the three views the bytes
	small []int32
	flags []byte
}

// newInts is a buffer of n numbers of type int64, int32 or bool.
func newInts(typ onnx.DType, n int) (*ints, error) {
	b := &ints{typ: typ, bytes: aligned(int64(n) * typ.Bits() / 8)}
	p := unsafe.Pointer(unsafe.SliceData(b.bytes))
	switch typ {
	case onnx.Int64:
		b.wide = unsafe.Slice((*int64)(p), n)
	case onnx.Int32:
		b.small = unsafe.Slice((*int32)(p), n)
	case onnx.Bool:
		b.flags = b.bytes
	default:
		return nil, fmt.Errorf("%s does not hold whole numbers", typ)
	}
	return b, nil
}

// set writes element i.
func (b *ints) set(i int, v int64) {
	switch {
	case b.wide != nil:
		b.wide[i] = v
	case b.small != nil:
		b.small[i] = int32(v)
	default:
		b.flags[i] = byte(v)
	}
}

// fill writes v to elements from up to but not including to.
func (b *ints) fill(from, to int, v int64) {
	for i := from; i < to; i++ {
		b.set(i, v)
	}
}
