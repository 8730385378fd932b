package calib

import (
	"fmt"
	"math"
)

// Bins is how many bins a histogram has. Its range is a power of two, so at least
// half of them lie below the greatest magnitude. Percentiles would do with fewer;
// the error of quantization wants a bin that is small beside a step of INT8 even
// where the best range is a small part of the observed one.
const Bins = 1 << binBits

const binBits = 14

// Histogram counts the magnitudes of a stream of values and keeps the exact
// minimum, maximum and number. The zero value is empty and ready.
//
// Its range is [0, 2^k). When a value exceeds it, pairs of bins are merged and
// k grows: no second pass is needed, and since the scale is a power of two no
// value ever changes sides by rounding. Two histograms merge the same way, in
// any order.
type Histogram struct {
	Count    int64
	Min, Max float32 // exact; both 0 while Count is 0
	// Exp is k; meaningless while Counts is nil.
	Exp int
	// Counts[i] is how many magnitudes lie in [i, i+1) * 2^k / Bins. It is nil
	// while only zeros have been seen.
	Counts []int64
	// Zeros are exact zeros, which stand in no bin.
	Zeros int64
}

// Add counts values. NaN and infinities are an error that says at which index
// of values the first one stands; then nothing is counted.
func (h *Histogram) Add(values []float32) error {
	lo, hi, bad := extremes(values)
	if bad >= 0 {
		return fmt.Errorf("value %d of %d is %v", bad, len(values), values[bad])
	}
	if len(values) == 0 {
		return nil
	}
	if h.Count == 0 {
		h.Min, h.Max = lo, hi
	}
	h.Min, h.Max = min(h.Min, lo), max(h.Max, hi)
	h.Count += int64(len(values))
	h.grow(max(-lo, hi))
	h.tally(values)
	return nil
}

// extremes are the least and the greatest of values; bad is the index of the
// first that is not finite, or -1.
func extremes(values []float32) (lo, hi float32, bad int) {
	if len(values) == 0 {
		return 0, 0, -1
	}
	// In the order of integers, which costs no branch and finds NaN and the
	// infinities outside of it: a third of the time that comparing floats takes.
	least, most := loops.Extremes(values)
	if least > ordered(negativeInfinity) && most < ordered(infinity) {
		return unordered(least), unordered(most), -1
	}
	for i, v := range values {
		if v-v != 0 {
			bad = i
			break
		}
	}
	return 0, 0, bad
}

const (
	infinity         = 0x7f800000
	negativeInfinity = 0xff800000
)

// ordered maps the bits of floats to integers of the same order; negative zero
// comes before zero.
func ordered(bits uint32) int32 {
	s := int32(bits)
	return s ^ s>>31&math.MaxInt32
}

// unordered is the float that ordered came from; negative zero becomes zero.
func unordered(o int32) float32 {
	return math.Float32frombits(uint32(o^o>>31&math.MaxInt32)) + 0
}

// grow makes room for magnitude a.
func (h *Histogram) grow(a float32) {
	if a == 0 {
		return
	}
	_, exp := math.Frexp(float64(a)) // a < 2^exp
	if h.Counts == nil {
		h.Counts, h.Exp = make([]int64, Bins), exp
	}
	for ; h.Exp < exp; h.Exp++ {
		halve(h.Counts)
	}
}

// halve merges neighbouring bins into the lower half.
func halve(counts []int64) {
	for i := range counts[:len(counts)/2] {
		counts[i] = counts[2*i] + counts[2*i+1]
	}
	clear(counts[len(counts)/2:])
}

func (h *Histogram) tally(values []float32) {
	if h.Counts == nil {
		h.Zeros += int64(len(values))
		return
	}
	// Powers of two, so the products are exact (or far below 1). Two, because the
	// factor of a subnormal range does not fit float32.
	all := binBits - h.Exp
	one, two := float32(math.Ldexp(1, all/2)), float32(math.Ldexp(1, all-all/2))
	h.Zeros += loops.Tally(values, one, two, (*[Bins]int64)(h.Counts))
}

// Merge adds what o counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.Count == 0 {
		return
	}
	if h.Count == 0 {
		h.Min, h.Max = o.Min, o.Max
	}
	h.Min, h.Max = min(h.Min, o.Min), max(h.Max, o.Max)
	h.Count += o.Count
	h.Zeros += o.Zeros
	if o.Counts == nil {
		return
	}
	counts := append([]int64(nil), o.Counts...)
	exp := o.Exp
	if h.Counts == nil {
		h.Counts, h.Exp = make([]int64, Bins), exp
	}
	for ; h.Exp < exp; h.Exp++ {
		halve(h.Counts)
	}
	for ; exp < h.Exp; exp++ {
		halve(counts)
	}
	for i, n := range counts {
		h.Counts[i] += n
	}
}

// Amax is the greatest magnitude, exactly.
func (h *Histogram) Amax() float32 { return max(-h.Min, h.Max) }

// Quantile is the magnitude that the share q (0 to 1) of all values does not
// exceed, interpolated inside its bin and never above Amax: within one bin's
// width of numpy's percentile of the absolute values.
func (h *Histogram) Quantile(q float64) float32 {
	rank := q * float64(h.Count)
	seen := float64(h.Zeros)
	if h.Counts == nil || rank <= seen {
		return 0
	}
	width := math.Ldexp(1, h.Exp) / Bins
	for i, n := range h.Counts {
		if n > 0 && seen+float64(n) >= rank {
			at := (float64(i) + (rank-seen)/float64(n)) * width
			return min(float32(at), h.Amax())
		}
		seen += float64(n)
	}
	return h.Amax()
}
