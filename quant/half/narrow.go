package half

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/x448/float16"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// The ends of the two narrow types. Subnormals are used: below the smallest
// there is only zero.
const (
	maxHalf   = 65504          // the largest finite float16
	tinyHalf  = 1.0 / 16777216 // the smallest positive float16, 2^-24
	maxBrain  = 0x1.fep127     // the largest finite bfloat16, 3.39e38
	tinyBrain = 0x1p-133       // the smallest positive bfloat16
)

// narrow is w in float16 or bfloat16, converted while it is read: round to
// nearest, ties to even, finite values beyond the type's range clipped to it (a
// mask's -3.4e38 stays the most negative number instead of an infinity, whose
// sums and products are NaN), infinities as they are. Where w is a quantization
// scale, a positive value too small for the type becomes the smallest one
// instead of zero. NaN is an error at the time of reading.
func narrow(w *onnx.Weight, t onnx.DType, scale bool) (*onnx.Weight, error) {
	size, err := t.Bytes(w.Dims)
	if err != nil {
		return nil, fault.Wrap(fault.Input, "converting weight", w.Name, err, "export the model again")
	}
	return &onnx.Weight{Name: w.Name, Type: t, Dims: w.Dims, Data: onnx.Generated{
		Length: size,
		Write: func(out io.Writer) error {
			var buf []byte
			return w.Each(func(base int64, values []float32) error {
				buf = buf[:0]
				for i, v := range values {
					if v != v {
						return fault.New(fault.Input, "converting weight", w.Name,
							fmt.Sprintf("element %d is NaN", base+int64(i)), "export the model from a sound checkpoint")
					}
					buf = binary.LittleEndian.AppendUint16(buf, narrowBits(v, t, scale))
				}
				_, err := out.Write(buf)
				return err
			})
		},
	}}, nil
}

// narrowBits is v as narrow rounds it.
func narrowBits(v float32, t onnx.DType, scale bool) uint16 {
	bits, most, least := halfBits, float32(maxHalf), float32(tinyHalf)
	if t == onnx.BFloat16 {
		bits, most, least = brainBits, maxBrain, tinyBrain
	}
	switch {
	case math.IsInf(float64(v), 0):
	case scale && v > 0 && v < least:
		v = least
	default:
		v = max(-most, min(most, v))
	}
	return bits(v)
}

// halfBits is v in float16, of at most ±65,504 or infinite. Rounding adds just
// under half a unit, and a whole half where the last kept bit is odd: a carry
// moves into the exponent, as it should.
func halfBits(v float32) uint16 {
	u := math.Float32bits(v)
	sign, u := uint16(u>>16&0x8000), u&0x7fffffff
	switch {
	case u >= 0x7f800000: // infinite
		return sign | 0x7c00
	case u < 0x38800000: // below 2^-14: 0.5 + |v| has float16's smallest unit as its last bit
		return sign | uint16(math.Float32bits(0.5+math.Float32frombits(u))-math.Float32bits(0.5))
	}
	return sign | uint16((u-(127-15)<<23+0xfff+u>>13&1)>>13)
}

// brainBits is v in bfloat16: the upper half of float32, rounded.
func brainBits(v float32) uint16 {
	u := math.Float32bits(v)
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// RoundScale is a quantization scale as t, float16 or bfloat16, holds it exactly:
// the nearest, but never so far down that the largest value it was made for would
// be clipped.
func RoundScale(scale float32, t onnx.DType) float32 {
	bits := narrowBits(scale, t, true)
	if scale/widened(bits, t) > 127.5/127 {
		bits++
	}
	return widened(bits, t)
}

// widened is the value of a float16 or bfloat16.
func widened(bits uint16, t onnx.DType) float32 {
	if t == onnx.BFloat16 {
		return math.Float32frombits(uint32(bits) << 16)
	}
	return float16.Frombits(bits).Float32()
}
