package calib

import (
	"encoding/binary"
	"fmt"
	"math"

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

// AddTensor counts a float tensor's values, converted piece by piece. NaN or an
// infinity is a [NotFinite]; after an error the observation is of no use.
func (o *Observation) AddTensor(t onnx.Tensor) error {
	width := o.width(t)
	piece := pieceLength
	if width > 0 {
		piece = max(1, pieceLength/width) * width
	}
	if t.Type != onnx.Float32 {
		values, err := t.Float32s()
		if err != nil {
			return fault.Wrap(fault.Input, "calibrating on tensor", t.Name, err, "observe tensors of floats")
		}
		return o.addAll(t.Name, values, piece, width)
	}
	buffer := make([]float32, piece)
	for b, at := t.Bytes, 0; len(b) >= 4; {
		n := min(piece, len(b)/4)
		for i := range buffer[:n] {
			buffer[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		if err := o.add(buffer[:n], width); err != nil {
			return notFinite(t.Name, at, buffer[:n])
		}
		b, at = b[4*n:], at+n
	}
	return nil
}

// pieceLength is how many values are worked on at once: they stay in the first
// cache.
const pieceLength = 2048

func (o *Observation) addAll(name string, values []float32, piece, width int) error {
	for at := 0; at < len(values); at += piece {
		part := values[at:min(at+piece, len(values))]
		if err := o.add(part, width); err != nil {
			return notFinite(name, at, part)
		}
	}
	return nil
}

// add counts a piece: whole rows where width is not 0.
func (o *Observation) add(values []float32, width int) error {
	if len(values) == 0 {
		return nil
	}
	before := o.Count
	if err := o.Add(values); err != nil {
		return err
	}
	o.Moments.merge(before, momentsOf(values), int64(len(values)))
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

func notFinite(name string, at int, values []float32) error {
	_, _, bad := extremes(values)
	e := &NotFinite{Tensor: name, Index: at + bad, Value: values[bad]}
	return fault.Wrap(fault.Input, "calibrating on tensor", name, e,
		"look for the first node whose output is not finite; the weights or the text may be damaged")
}
