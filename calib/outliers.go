package calib

import (
	"cmp"
	"maps"
	"math"
	"slices"
)

// Outlier is what makes a tensor hard to quantize, or easy.
type Outlier struct {
	Tensor    string     `json:"tensor"`
	Lo        float32    `json:"lo"`
	Hi        float32    `json:"hi"`
	Amax      float32    `json:"amax"`      // by the method
	Deviation float64    `json:"deviation"` // standard deviation
	Kurtosis  float64    `json:"kurtosis"`  // 3 for a normal distribution
	Clipped   float64    `json:"clipped"`   // share (0 to 1) of values whose magnitude is above Amax
	Dominant  []Dominant `json:"dominant"`  // the channels with the greatest magnitudes, greatest first; nil without channels
}

// Dominant is a channel and by how much it exceeds the others.
type Dominant struct {
	Channel int     `json:"channel"` // index of the last axis
	Absmax  float32 `json:"absmax"`  // its greatest magnitude
	Ratio   float64 `json:"ratio"`   // Absmax / the median of all channels' that are not always 0
}

// Outliers reports every tensor that was seen, by name, with its top channels.
func (o *Observations) Outliers(m Method, top int) ([]Outlier, error) {
	amax, err := o.amax(m)
	if err != nil {
		return nil, err
	}
	var all []Outlier
	for _, name := range slices.Sorted(maps.Keys(o.Tensors)) {
		seen := o.Tensors[name]
		if seen.Count == 0 {
			continue
		}
		all = append(all, Outlier{Tensor: name, Lo: seen.Min, Hi: seen.Max, Amax: amax[name], Deviation: seen.Deviation(),
			Kurtosis: seen.Kurtosis(), Clipped: seen.Above(amax[name]), Dominant: seen.Channels.dominant(top)})
	}
	return all, nil
}

// dominant are the n channels of the greatest magnitude.
func (c *ChannelSums) dominant(n int) []Dominant {
	if c == nil {
		return nil
	}
	var all []Dominant
	for i := range c.Lo {
		if a := c.absmax(i); a > 0 {
			all = append(all, Dominant{Channel: i, Absmax: a})
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b Dominant) int { return cmp.Compare(b.Absmax, a.Absmax) })
	median := (float64(all[len(all)/2].Absmax) + float64(all[(len(all)-1)/2].Absmax)) / 2
	all = all[:min(max(n, 0), len(all))]
	for i := range all {
		all[i].Ratio = float64(all[i].Absmax) / median
	}
	return all
}

// Above is the share (0 to 1) of values whose magnitude is above a, interpolated
// inside its bin; exactly 0 from Amax on.
func (h *Histogram) Above(a float32) float64 {
	if h.Counts == nil || a >= h.Amax() {
		return 0
	}
	at := math.Ldexp(float64(a), -h.Exp) * Bins
	i := int(at)
	above := (1 - (at - float64(i))) * float64(h.Counts[i])
	for _, n := range h.Counts[i+1:] {
		above += float64(n)
	}
	return above / float64(h.Count)
}
