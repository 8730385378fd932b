package quant

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/half"
)

// scales are the symmetric per-channel scales of a weight of shape [rows,
// cols], amax/127 in float32; 1 for a channel of zeros (or of subnormals whose
// scale would be 0). axis is the dimension of the channels.
func scales(w *onnx.Weight, axis int) ([]float32, error) {
	amax := make([]float32, w.Dims[axis])
	err := eachRow(w, func(row, col int64, values []float32) error {
		var bad bool
		if axis == 0 {
			amax[row], bad = greatest(amax[row], values)
		} else {
			bad = greater(amax[col:], values)
		}
		if bad {
			return notFinite(w, row*w.Dims[1]+col, values)
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

// RoundScales is choose (for [Policy]; nil means absmax/127) with scales that t,
// float16 or bfloat16, holds exactly ([half.RoundScale]), for an INT8 graph that
// becomes a graph of that type: levels made with one scale and read with its
// rounding would be off by up to a sixteenth of a level in float16 and half a level
// in bfloat16.
func RoundScales(t onnx.DType, choose func(*onnx.Weight, int) ([]float32, error)) func(*onnx.Weight, int) ([]float32, error) {
	if choose == nil {
		choose = scales
	}
	return func(w *onnx.Weight, axis int) ([]float32, error) {
		all, err := choose(w, axis)
		for i, s := range all {
			all[i] = half.RoundScale(s, t)
		}
		return all, err
	}
}

// eachRow visits the elements of a matrix in order, in pieces of one row each:
// they begin at row, col.
func eachRow(w *onnx.Weight, visit func(row, col int64, values []float32) error) error {
	cols := w.Dims[1]
	return w.Each(func(base int64, values []float32) error {
		for len(values) > 0 {
			row, col := base/cols, base%cols
			n := min(int64(len(values)), cols-col)
			if err := visit(row, col, values[:n]); err != nil {
				return err
			}
			base, values = base+n, values[n:]
		}
		return nil
	})
}

// magnitude is the bits of |v|, which have the order of the numbers; above most
// it is not finite.
func magnitude(v float32) uint32 { return math.Float32bits(v) &^ (1 << 31) }

var most = math.Float32bits(math.MaxFloat32)

// greatest is the largest of a and the magnitudes of values.
func greatest(a float32, values []float32) (amax float32, bad bool) {
	top := math.Float32bits(a)
	for _, v := range values {
		top = max(top, magnitude(v))
	}
	return math.Float32frombits(top), top > most
}

// greater raises each of amax to the magnitude of the value in its place.
func greater(amax, values []float32) (bad bool) {
	amax = amax[:len(values)]
	var top uint32
	for i, v := range values {
		m := magnitude(v)
		top = max(top, m)
		amax[i] = math.Float32frombits(max(math.Float32bits(amax[i]), m))
	}
	return top > most
}

// notFinite names the first of values, which begin at element base, that is not.
func notFinite(w *onnx.Weight, base int64, values []float32) error {
	for i, v := range values {
		if magnitude(v) > most {
			return fault.New(fault.Input, "quantizing weight", w.Name,
				fmt.Sprintf("element %d is %v", base+int64(i), v), "export the model from a sound checkpoint")
		}
	}
	return nil
}

// quantize is w in INT8 with the given scales: divided, rounded half to even,
// clipped to [-127, 127], while it is read.
func quantize(w *onnx.Weight, name string, axis int, scale []float32) *onnx.Weight {
	cols := w.Dims[1]
	return &onnx.Weight{Name: name, Type: onnx.Int8, Dims: w.Dims, Data: onnx.Generated{
		Length: w.Dims[0] * cols,
		Write: func(out io.Writer) error {
			all, buf := bufio.NewWriterSize(out, 256<<10), make([]byte, cols)
			err := eachRow(w, func(row, col int64, values []float32) error {
				buf = buf[:len(values)]
				if axis == 0 {
					s := scale[row]
					for i, v := range values {
						buf[i] = byte(level(v / s))
					}
				} else {
					s := scale[col:][:len(values)]
					for i, v := range values {
						buf[i] = byte(level(v / s[i]))
					}
				}
				_, err := all.Write(buf)
				return err
			})
			return errors.Join(err, all.Flush())
		},
	}}
}

// level is the nearest of -127..127, ties to even. Beside 1.5 * 2^23 a float32 has
// no room for a fraction, so the sum is rounded as the processor rounds, and its
// last byte is the number.
func level(v float32) int8 {
	if v > 127 {
		v = 127
	}
	if v < -127 {
		v = -127
	}
	return int8(math.Float32bits(v + 3<<22))
}

// transposed is how many lines of a transpose are made at once: of every line that
// the cache fetches, all is used.
const transposed = 64

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
			lines := make([]byte, transposed*rows)
			for c := int64(0); c < cols; c += transposed {
				n := min(transposed, cols-c)
				for r := range rows {
					for k, v := range b[r*cols+c:][:n] {
						lines[int64(k)*rows+r] = v
					}
				}
				if _, err := out.Write(lines[:n*rows]); err != nil {
					return err
				}
			}
			return nil
		},
	}}
}
