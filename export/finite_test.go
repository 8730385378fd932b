package export

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/x448/float16"

	"github.com/trtforge/trtforge/onnx"
)

// slowFirst is firstNonFinite value by value, by the math package.
func slowFirst(b []byte, dtype onnx.DType) int {
	width := int(dtype.Bits() / 8)
	for at := 0; at+width <= len(b); at += width {
		var v float32
		switch dtype {
		case onnx.Float16:
			v = float16.Frombits(binary.LittleEndian.Uint16(b[at:])).Float32()
		case onnx.BFloat16:
			v = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[at:])) << 16)
		default:
			v = math.Float32frombits(binary.LittleEndian.Uint32(b[at:]))
		}
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return at
		}
	}
	return -1
}

// Every half-precision number at every place of a buffer of several steps.
func TestFirstNonFiniteOfEveryHalf(t *testing.T) {
	for _, dtype := range []onnx.DType{onnx.Float16, onnx.BFloat16} {
		b := make([]byte, 78)
		for bits := range 1 << 16 {
			at := bits % 39 * 2
			binary.LittleEndian.PutUint16(b[at:], uint16(bits))
			if got, want := firstNonFinite(b, dtype), slowFirst(b, dtype); got != want {
				t.Fatalf("%s %#x at %d: got %d, want %d", dtype, bits, at, got, want)
			}
			clear(b[at : at+2])
		}
	}
}

func FuzzFirstNonFinite(f *testing.F) {
	nan := binary.LittleEndian.AppendUint32(make([]byte, 40), math.Float32bits(float32(math.NaN())))
	f.Add(nan)
	f.Add(binary.LittleEndian.AppendUint32(make([]byte, 4), math.Float32bits(float32(math.Inf(-1)))))
	f.Add(binary.LittleEndian.AppendUint32(make([]byte, 32), math.Float32bits(math.MaxFloat32)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, dtype := range []onnx.DType{onnx.Float32, onnx.Float16, onnx.BFloat16} {
			b := data[:len(data)/4*4]
			if got, want := firstNonFinite(b, dtype), slowFirst(b, dtype); got != want {
				t.Errorf("%s: got %d, want %d", dtype, got, want)
			}
		}
	})
}

func BenchmarkFirstNonFinite(b *testing.B) {
	buf := make([]byte, chunk)
	b.SetBytes(chunk)
	for b.Loop() {
		firstNonFinite(buf, onnx.Float32)
	}
}
