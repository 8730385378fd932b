package quant

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/x448/float16"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

const (
	maxHalf  = 65504          // the largest finite float16
	tinyHalf = 1.0 / 16777216 // the smallest positive float16, 2^-24
)

// narrow is w in float16, converted while it is read: round to nearest, ties to
// even, finite values beyond ±65,504 clipped to it (a mask's -3.4e38 stays the
// most negative number instead of an infinity, whose sums and products are
// NaN), infinities as they are. Where w is a quantization scale, a positive
// value too small for float16 becomes the smallest one instead of zero. NaN is
// an error at the time of reading.
func narrow(w *onnx.Weight, scale bool) (*onnx.Weight, error) {
	size, err := onnx.Float16.Bytes(w.Dims)
	if err != nil {
		return nil, fault.Wrap(fault.Input, "converting weight", w.Name, err, "export the model again")
	}
	return &onnx.Weight{Name: w.Name, Type: onnx.Float16, Dims: w.Dims, Data: onnx.Generated{
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
					buf = binary.LittleEndian.AppendUint16(buf, halfBits(v, scale))
				}
				_, err := out.Write(buf)
				return err
			})
		},
	}}, nil
}

// halfBits is v as narrow rounds it.
func halfBits(v float32, scale bool) uint16 {
	switch {
	case math.IsInf(float64(v), 0):
	case v > maxHalf:
		v = maxHalf
	case v < -maxHalf:
		v = -maxHalf
	case scale && v > 0 && v < tinyHalf:
		v = tinyHalf
	}
	return float16.Fromfloat32(v).Bits()
}
