package quant

import (
	"fmt"
	"io"
	"math"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// scales are the symmetric per-channel scales of a weight of shape [rows,
// cols], amax/127 in float32; 1 for a channel of zeros (or of subnormals whose
// scale would be 0). axis is the dimension of the channels.
func scales(w *onnx.Weight, axis int) ([]float32, error) {
	cols := w.Dims[1]
	amax := make([]float32, w.Dims[axis])
	err := w.Each(func(base int64, values []float32) error {
		row, col := base/cols, base%cols
		for i, v := range values {
			a := float32(math.Abs(float64(v)))
			if !(a <= math.MaxFloat32) {
				return fault.New(fault.Input, "quantizing weight", w.Name,
					fmt.Sprintf("element %d is %v", base+int64(i), v), "export the model from a sound checkpoint")
			}
			channel := row
			if axis == 1 {
				channel = col
			}
			if a > amax[channel] {
				amax[channel] = a
			}
			if col++; col == cols {
				row, col = row+1, 0
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, a := range amax {
		if amax[i] = a / 127; amax[i] == 0 {
			amax[i] = 1
		}
	}
	return amax, nil
}

// quantize is w in INT8 with the given scales: divided, rounded half to even,
// clipped to [-127, 127], while it is read.
func quantize(w *onnx.Weight, name string, axis int, scale []float32) *onnx.Weight {
	cols := w.Dims[1]
	return &onnx.Weight{Name: name, Type: onnx.Int8, Dims: w.Dims, Data: onnx.Generated{
		Length: w.Dims[0] * cols,
		Write: func(out io.Writer) error {
			var buf []byte
			return w.Each(func(base int64, values []float32) error {
				buf = buf[:0]
				row, col := base/cols, base%cols
				for _, v := range values {
					channel := row
					if axis == 1 {
						channel = col
					}
					buf = append(buf, byte(level(v/scale[channel])))
					if col++; col == cols {
						row, col = row+1, 0
					}
				}
				_, err := out.Write(buf)
				return err
			})
		},
	}}
}

// level rounds to the nearest of -127..127, ties to even.
func level(v float32) int8 {
	return int8(max(-127, min(127, math.RoundToEven(float64(v)))))
}

// transpose is the INT8 weight w of shape [rows, cols] as [cols, rows]. It holds
// that one weight in memory while it is written.
func transpose(w *onnx.Weight) *onnx.Weight {
	rows, cols := w.Dims[0], w.Dims[1]
	return &onnx.Weight{Name: w.Name, Type: w.Type, Dims: []int64{cols, rows}, Data: onnx.Generated{
		Length: rows * cols,
		Write: func(out io.Writer) error {
			b, err := w.Bytes()
			if err != nil {
				return err
			}
			line := make([]byte, rows)
			for c := range cols {
				for r := range rows {
					line[r] = b[r*cols+c]
				}
				if _, err := out.Write(line); err != nil {
					return err
				}
			}
			return nil
		},
	}}
}
