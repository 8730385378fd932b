package quant

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// scaled is a float32 weight of shape [rows, cols] whose index i of an axis is
// multiplied by factors[i], while it is read.
func scaled(w *onnx.Weight, axis int, factors []float32) *onnx.Weight {
	cols := w.Dims[1]
	return &onnx.Weight{Name: w.Name, Type: w.Type, Dims: w.Dims, Data: onnx.Generated{
		Length: w.Data.Size(),
		Write: func(out io.Writer) error {
			var buf []byte
			return w.Each(func(base int64, values []float32) error {
				buf = buf[:0]
				lines(base, cols, values, func(row, col int64, line []float32) {
					for i, v := range line {
						f := factors[(1-int64(axis))*row+int64(axis)*(col+int64(i))]
						buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v*f))
					}
				})
				_, err := out.Write(buf)
				return err
			})
		},
	}}
}

// lines cuts a piece of a matrix into parts of one row each.
func lines(base, cols int64, values []float32, visit func(row, col int64, line []float32)) {
	for len(values) > 0 {
		row, col := base/cols, base%cols
		n := min(cols-col, int64(len(values)))
		visit(row, col, values[:n])
		base, values = base+n, values[n:]
	}
}

func inverted(factors []float32) []float32 {
	all := make([]float32, len(factors))
	for i, f := range factors {
		all[i] = 1 / f
	}
	return all
}

// rowsOf are, of a matrix product's weight, the greatest magnitude and the sum of
// squares of each input channel.
func rowsOf(w *onnx.Weight, inputs int) (amax []float32, squares []float64, err error) {
	amax, squares = make([]float32, w.Dims[inputs]), make([]float64, w.Dims[inputs])
	err = w.Each(func(base int64, values []float32) error {
		for i, v := range values {
			if v-v != 0 {
				return fault.New(fault.Input, "smoothing weight", w.Name,
					fmt.Sprintf("element %d is %v", base+int64(i), v), "export the model from a sound checkpoint")
			}
		}
		lines(base, w.Dims[1], values, func(row, col int64, line []float32) {
			for i, v := range line {
				j := row
				if inputs == 1 {
					j = col + int64(i)
				}
				amax[j] = max(amax[j], v, -v)
				squares[j] += float64(v) * float64(v)
			}
		})
		return nil
	})
	return amax, squares, err
}

// columnsOf are the greatest magnitudes of each output channel, after each set of
// factors of the input channels, in one pass.
func columnsOf(w *onnx.Weight, inputs int, factors [][]float32) ([][]float32, error) {
	all := make([][]float32, len(factors))
	for c := range all {
		all[c] = make([]float32, w.Dims[1-inputs])
	}
	err := w.Each(func(base int64, values []float32) error {
		lines(base, w.Dims[1], values, func(row, col int64, line []float32) {
			for c, f := range factors {
				greatest := all[c]
				if inputs == 0 {
					greatest, by := greatest[col:col+int64(len(line))], f[row]
					for i, v := range line {
						if v *= by; v < 0 {
							v = -v
						}
						if v > greatest[i] {
							greatest[i] = v
						}
					}
					continue
				}
				most := greatest[row]
				for i, v := range line {
					if v *= f[col+int64(i)]; v < 0 {
						v = -v
					}
					if v > most {
						most = v
					}
				}
				greatest[row] = most
			}
		})
		return nil
	})
	return all, err
}
