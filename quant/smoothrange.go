package quant

import (
	"math"

	"github.com/trtforge/trtforge/calib"
)

// rerange makes the table's ranges those of the smoothed group, whose products
// take value from now on; absorbed tells that no node takes the factors.
func (s *smoother) rerange(g *group, value string, b balanced, absorbed bool) {
	c := s.channels(g)
	r := smoothedRange(c, b)
	root, known := s.table.Ranges[g.root]
	for _, name := range append(g.tensors, g.root) {
		if _, known := s.table.Ranges[name]; known {
			s.table.Ranges[name] = r
		}
	}
	if value == g.root {
		return
	}
	s.table.Ranges[value] = r
	if absorbed { // the shift alone stands behind it
		b.shift = nil
		root = smoothedRange(c, b)
	}
	if known { // float16 is judged by it
		s.table.Ranges[g.root] = root
	}
	for _, n := range s.x.Consumers[g.root] {
		for i, in := range n.GetInput() {
			if in == g.root {
				n.Input[i] = value
			}
		}
	}
}

// smoothedRange is the range of (x - shift) / factors.
func smoothedRange(c *calib.Channels, b balanced) calib.Range {
	n := len(c.Lo)
	out := &calib.Channels{Lo: make([]float32, n), Hi: make([]float32, n), RMS: make([]float32, n)}
	if len(c.Mean) == n {
		out.Mean = make([]float32, n)
	}
	r := calib.Range{Channels: out, Centred: b.shift != nil}
	for j, f := range b.factors {
		shift := float32(0)
		if b.shift != nil {
			shift = b.shift[j]
		}
		out.Lo[j], out.Hi[j] = (c.Lo[j]-shift)/f, (c.Hi[j]-shift)/f
		out.RMS[j] = float32(math.Sqrt(meanSquare(c, j, shift))) / f
		if out.Mean != nil {
			out.Mean[j] = (c.Mean[j] - shift) / f
		}
		if j == 0 {
			r.Lo, r.Hi = out.Lo[0], out.Hi[0]
		}
		r.Lo, r.Hi = min(r.Lo, out.Lo[j]), max(r.Hi, out.Hi[j])
	}
	r.Amax = max(-r.Lo, r.Hi)
	return r
}

// meanSquare is E[(x_j - shift)²].
func meanSquare(c *calib.Channels, j int, shift float32) float64 {
	square := float64(c.RMS[j]) * float64(c.RMS[j])
	if shift == 0 {
		return square
	}
	return max(0, square-2*float64(shift)*float64(c.Mean[j])+float64(shift)*float64(shift))
}

// rebound makes the range of a value inside a fold's path a bound of what it is
// now: element i of a token is divided by the factor of its channel at[i].
func (s *smoother) rebound(value string, at []int, factors []float32) {
	r, known := s.table.Ranges[value]
	if !known {
		return
	}
	if c := r.Channels; at == nil && c != nil && len(c.Lo) == len(factors) && len(c.Hi) == len(factors) && len(c.RMS) == len(factors) {
		s.table.Ranges[value] = smoothedRange(c, balanced{factors: factors})
		return
	}
	least, most := float32(math.MaxFloat32), float32(0)
	for _, f := range factors {
		least, most = min(least, f), max(most, f)
	}
	if at != nil && len(at) != len(factors) {
		least, most = min(least, 1), max(most, 1) // other columns stay as they are
	}
	r = calib.Range{Lo: min(r.Lo/least, r.Lo/most), Hi: max(r.Hi/least, r.Hi/most)}
	r.Amax = max(-r.Lo, r.Hi)
	s.table.Ranges[value] = r
}
