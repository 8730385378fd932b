package calib

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unsafe"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Observation is all that is kept of one tensor: its size does not depend on how
// much of it was seen. The zero value is empty and ready.
//
// Counts and extremes do not depend on the order in which values come; the sums
// of float64 (Moments, Channels.Squares) do, in their last digits.
type Observation struct {
	Histogram
	Moments  Moments
	Channels *ChannelSums // nil where the tensor has none
	Varies   bool         // the last axis is not always equally long, so it has no channels
}

// AddTensor counts a float tensor's values. NaN or an infinity is a [NotFinite];
// after an error the observation is of no use.
func (o *Observation) AddTensor(t onnx.Tensor) error {
	width := o.width(t)
	values, err := floats(t)
	if err != nil {
		return fault.Wrap(fault.Input, "calibrating on tensor", t.Name, err, "observe tensors of floats")
	}
	if err := o.add(values, width); err != nil {
		return notFinite(t.Name, values)
	}
	return nil
}

// floats are the values of a float tensor: its bytes themselves where they can be
// read so, which saves a copy as large as the tensor.
func floats(t onnx.Tensor) ([]float32, error) {
	n := len(t.Bytes) / 4
	if t.Type != onnx.Float32 || n == 0 || uintptr(unsafe.Pointer(&t.Bytes[0]))%4 != 0 || !littleEndian {
		return t.Float32s()
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&t.Bytes[0])), n), nil
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// pieceLength is how many values are worked on at once: they stay in the first
// cache.
const pieceLength = 2048

// add counts values, piece by piece: whole rows where width is not 0.
func (o *Observation) add(values []float32, width int) error {
	if len(values) == 0 {
		return nil
	}
	piece := pieceLength
	if width > 0 {
		piece = max(1, pieceLength/width) * width
	}
	for part := range slices.Chunk(values, piece) {
		before := o.Count
		if err := o.Add(part); err != nil {
			return err
		}
		o.Moments.merge(before, loops.Moments(part), int64(len(part)))
	}
	if width > 0 {
		o.channels(values, width)
	}
	return nil
}

// Merge adds what p counted.
func (o *Observation) Merge(p *Observation) {
	o.Moments.merge(o.Count, p.Moments, p.Count)
	o.mergeChannels(p)
	o.Histogram.Merge(&p.Histogram)
}

// NotFinite is NaN or an infinity in an observed tensor.
type NotFinite struct {
	Tensor string
	Index  int // in the tensor, in C order
	Value  float32
}

// Error names the tensor and the place.
func (e *NotFinite) Error() string {
	return fmt.Sprintf("value %d of tensor %s is %v", e.Index, e.Tensor, e.Value)
}

func notFinite(name string, values []float32) error {
	_, _, bad := extremes(values)
	e := &NotFinite{Tensor: name, Index: bad, Value: values[bad]}
	return fault.Wrap(fault.Input, "calibrating on tensor", name, e,
		"look for the first node whose output is not finite; the weights or the text may be damaged")
}
