package calib

import (
	"math"

	"github.com/trtforge/trtforge/onnx"
)

// maxChannels bounds what is kept of one tensor: a last axis that is wider is a
// vocabulary, not a width.
const maxChannels = 1 << 16

// ChannelSums are what is kept of each channel, an index of the last axis. Rows
// is how many values each has.
type ChannelSums struct {
	Rows    int64
	Lo, Hi  []float32
	Sums    []float64 // of the values
	Squares []float64 // of their squares
}

// channels counts the rows of a tensor whose last axis is width wide.
func (o *Observation) channels(values []float32, width int) {
	c := o.Channels
	if c == nil {
		c = &ChannelSums{Lo: make([]float32, width), Hi: make([]float32, width), Sums: make([]float64, width), Squares: make([]float64, width)}
		copy(c.Lo, values)
		copy(c.Hi, values)
		o.Channels = c
	}
	loops.Columns(values, c)
	c.Rows += int64(len(values) / width)
}

func (c *ChannelSums) row(values []float32) {
	lo, hi, sums, squares := c.Lo[:len(values)], c.Hi[:len(values)], c.Sums[:len(values)], c.Squares[:len(values)]
	for i, v := range values {
		if v < lo[i] {
			lo[i] = v
		}
		if v > hi[i] {
			hi[i] = v
		}
		sums[i] += float64(v)
		squares[i] += float64(v) * float64(v)
	}
}

// width is the length of the tensor's last axis where it can be one of
// channels, 0 otherwise. A tensor whose last axis varies, as the scores of an
// attention do, has none.
func (o *Observation) width(t onnx.Tensor) int {
	if o.Varies || len(t.Dims) < 2 {
		return 0
	}
	w := t.Dims[len(t.Dims)-1]
	if w < 1 || w > maxChannels || o.Channels != nil && int64(len(o.Channels.Lo)) != w {
		o.Channels, o.Varies = nil, true
		return 0
	}
	return int(w)
}

// mergeChannels adds what p counted of each channel.
func (o *Observation) mergeChannels(p *Observation) {
	switch {
	case o.Varies || p.Varies, o.Channels != nil && p.Channels != nil && len(o.Channels.Lo) != len(p.Channels.Lo):
		o.Channels, o.Varies = nil, true
	case p.Channels == nil:
	case o.Channels == nil:
		o.Channels = p.Channels.clone()
	default:
		c := o.Channels
		c.Rows += p.Channels.Rows
		for i := range c.Lo {
			c.Lo[i] = min(c.Lo[i], p.Channels.Lo[i])
			c.Hi[i] = max(c.Hi[i], p.Channels.Hi[i])
			c.Sums[i] += p.Channels.Sums[i]
			c.Squares[i] += p.Channels.Squares[i]
		}
	}
}

func (c *ChannelSums) clone() *ChannelSums {
	return &ChannelSums{c.Rows, append([]float32(nil), c.Lo...), append([]float32(nil), c.Hi...), append([]float64(nil), c.Sums...), append([]float64(nil), c.Squares...)}
}

// table is what a table says of the channels; nil where there are none.
func (c *ChannelSums) table() *Channels {
	if c == nil || c.Rows == 0 {
		return nil
	}
	t := &Channels{Lo: c.Lo, Hi: c.Hi, RMS: make([]float32, len(c.Lo)), Mean: make([]float32, len(c.Lo))}
	for i, s := range c.Squares {
		t.Mean[i] = float32(c.Sums[i] / float64(c.Rows))
		t.RMS[i] = float32(math.Sqrt(s / float64(c.Rows)))
	}
	return t
}

// absmax is the greatest magnitude of channel i.
func (c *ChannelSums) absmax(i int) float32 { return max(-c.Lo[i], c.Hi[i]) }
