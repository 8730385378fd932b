package onnx

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// DType is the element type of a tensor, with ONNX's numbers.
type DType int32

// The element types that causal language models and their quantized forms use.
const (
	Float32  = DType(onnxpb.TensorProto_FLOAT)
	Uint8    = DType(onnxpb.TensorProto_UINT8)
	Int8     = DType(onnxpb.TensorProto_INT8)
	Int32    = DType(onnxpb.TensorProto_INT32)
	Int64    = DType(onnxpb.TensorProto_INT64)
	Bool     = DType(onnxpb.TensorProto_BOOL)
	Float16  = DType(onnxpb.TensorProto_FLOAT16)
	Float64  = DType(onnxpb.TensorProto_DOUBLE)
	BFloat16 = DType(onnxpb.TensorProto_BFLOAT16)
	Float8   = DType(onnxpb.TensorProto_FLOAT8E4M3FN)
	Int4     = DType(onnxpb.TensorProto_INT4)
	Uint4    = DType(onnxpb.TensorProto_UINT4)
	String   = DType(onnxpb.TensorProto_STRING) // no width: such tensors stay in the graph as they are
)

// widths are bits per element.
var widths = map[DType]int64{
	Float32: 32, Uint8: 8, Int8: 8, Int32: 32, Int64: 64, Bool: 8, Float16: 16,
	Float64: 64, BFloat16: 16, Float8: 8, Int4: 4, Uint4: 4,
	DType(onnxpb.TensorProto_UINT16): 16, DType(onnxpb.TensorProto_INT16): 16,
	DType(onnxpb.TensorProto_UINT32): 32, DType(onnxpb.TensorProto_UINT64): 64,
	DType(onnxpb.TensorProto_COMPLEX64): 64, DType(onnxpb.TensorProto_COMPLEX128): 128,
	DType(onnxpb.TensorProto_FLOAT8E4M3FNUZ): 8, DType(onnxpb.TensorProto_FLOAT8E5M2): 8,
	DType(onnxpb.TensorProto_FLOAT8E5M2FNUZ): 8, DType(onnxpb.TensorProto_FLOAT4E2M1): 4,
	DType(onnxpb.TensorProto_FLOAT8E8M0): 8,
}

// Bits is the width of one element; 0 for strings and unknown types.
func (d DType) Bits() int64 { return widths[d] }

// IsFloat tells whether values of the type are rounded reals.
func (d DType) IsFloat() bool {
	switch d {
	case Float32, Float16, BFloat16, Float64, Float8:
		return true
	}
	return false
}

// String is ONNX's name in lower case: "float", "float16", "int64".
func (d DType) String() string {
	if name, ok := onnxpb.TensorProto_DataType_name[int32(d)]; ok {
		return strings.ToLower(name)
	}
	return fmt.Sprintf("type %d", int32(d))
}

// Elements is the product of dims; an error if one is negative or the product
// does not fit.
func Elements(dims []int64) (int64, error) {
	n := int64(1)
	for _, d := range dims {
		if d < 0 {
			return 0, fmt.Errorf("dimension %d of shape %v is negative", d, dims)
		}
		if d != 0 && n > (1<<62)/d {
			return 0, fmt.Errorf("shape %v has more elements than a file can hold", dims)
		}
		n *= d
	}
	return n, nil
}

// Bytes is the size of a dense tensor of the type and shape.
func (d DType) Bytes(dims []int64) (int64, error) {
	bits := d.Bits()
	if bits == 0 {
		return 0, fmt.Errorf("%s has no fixed width", d)
	}
	n, err := Elements(dims)
	if err != nil {
		return 0, err
	}
	if n > (1<<62)/bits {
		return 0, fmt.Errorf("shape %v of %s does not fit a file", dims, d)
	}
	return (n*bits + 7) / 8, nil
}
