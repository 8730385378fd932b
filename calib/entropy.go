package calib

import (
	"cmp"
	"math"
	"slices"
)

// The figures of TensorRT's entropy calibration. Its histogram has 2,048 bins or
// more over the observed range: as many as a range of a power of two is divided
// into here lie below its upper half.
const (
	entropyBins   = 4096
	entropyLevels = 128
)

// leastDivergence is the threshold of TensorRT's entropy calibration, as NVIDIA
// published it (S. Migacz, "8-bit Inference with TensorRT", GTC 2017, slides 27 to
// 38). The magnitudes are counted in n equal bins from 0 on, exact zeros in the
// first; bin n holds absmax. For i from 128 to n:
//
//   - P are the first i bins; the outliers, all that the others hold, are added to
//     the last of them.
//   - Q are the same bins without the outliers, quantized to 128 levels: bin j (from
//     0) is of level floor(128 j / i), and the sum of a level is shared equally by
//     those of its bins that are not empty. Empty bins stay empty.
//   - Both are divided by their sums, and the divergence of i is the sum over bins
//     of P ln(P/Q), where 0 ln(0/Q) is 0.
//
// Nothing is smoothed: where outliers are added to an empty bin, Q is 0 and P is
// not, so that the divergence is infinite and i is not chosen. The i of least
// divergence, of equals the greatest, gives the threshold (i + 0.5) w, w being a
// bin's width, or absmax where that is less.
//
// Where the slides are silent or cannot be followed:
//
//   - They have n = 2,048 bins of [0, absmax]. Which i wins hangs on counts that a
//     stream does not have, of a range that is known at its end only: between nearby
//     edges interpolation moved one threshold in thirty by 3 % and more. So a bin's
//     width here is the power of two that makes n more than 2,048 and at most 4,096,
//     and the counts are exact. NVIDIA's own calibrators in Python keep the width too
//     and add bins as the range grows (Model Optimizer, calib/histogram.py).
//   - Their loop ends at n-1. Ours adds n, which clips nothing, as those calibrators
//     do; without it a range without outliers would be clipped too.
//   - How i bins are divided into levels when i is no multiple of 128 they do not
//     say. Those calibrators divide evenly, as above.
func (h *Histogram) leastDivergence() float32 {
	if h.Counts == nil {
		return 0
	}
	d := newDivergences(h.entropyBins())
	best, least := len(d.bins), math.Inf(1)
	for _, b := range d.bounds() {
		if b.atLeast > least {
			break
		}
		if kl := d.of(b.i); kl < least || kl == least && b.i > best {
			best, least = b.i, kl
		}
	}
	width := math.Ldexp(1, h.Exp) / entropyBins
	return float32(min(float64(h.Amax()), (float64(best)+0.5)*width))
}

// entropyBins are the bins of the range that was observed, zeros included.
func (h *Histogram) entropyBins() []int64 {
	const join = Bins / entropyBins
	bins := make([]int64, entropyBins)
	last := 0
	for i, n := range h.Counts {
		bins[i/join] += n
		if n > 0 {
			last = i / join
		}
	}
	bins[0] += h.Zeros
	return bins[:last+1]
}

// divergences are sums over the first bins, from which the divergence of each i
// is found in time proportional to the levels: with a the bins of P, C and z the
// sum and the number of full bins of a level, N and S the sums of P and Q,
//
//	sum P ln(P/Q) = (sum a ln a - sum over levels of A ln(C/z)) / N - ln N + ln S
//
// where A is C, and in the last level C and the outliers.
type divergences struct {
	bins  []int64
	count []float64 // of values below each edge
	full  []float64 // of bins that are not empty
	logs  []float64 // of a ln a
}

func newDivergences(bins []int64) *divergences {
	n := len(bins) + 1
	d := &divergences{bins, make([]float64, n), make([]float64, n), make([]float64, n)}
	for i, b := range bins {
		d.count[i+1], d.full[i+1], d.logs[i+1] = d.count[i]+float64(b), d.full[i], d.logs[i]+xlogx(float64(b))
		if b > 0 {
			d.full[i+1]++
		}
	}
	return d
}

func xlogx(x float64) float64 {
	if x == 0 {
		return 0
	}
	return x * math.Log(x)
}

// bound is what the divergence of i is not less than.
type bound struct {
	i       int
	atLeast float64
}

// bounds are those of all i, the least first: nearly all i are ruled out by the
// divergences of the first few, each in a sixtieth of the time.
func (d *divergences) bounds() []bound {
	all := make([]bound, 0, len(d.bins))
	for i := len(d.bins); i >= entropyLevels; i-- {
		all = append(all, bound{i, d.atLeast(i)})
	}
	slices.SortFunc(all, func(a, b bound) int { return cmp.Compare(a.atLeast, b.atLeast) })
	return all
}

// atLeast is less than the divergence when the first i bins are kept: that of P and
// Q in two parts, the last bin, which the outliers are added to, and the others (no
// division can have a greater divergence than a finer one).
func (d *divergences) atLeast(i int) float64 {
	all, kept, last := d.count[len(d.count)-1], d.count[i], float64(d.bins[i-1])
	from := ((entropyLevels-1)*i + entropyLevels - 1) / entropyLevels
	p := (last + all - kept) / all
	q := (kept - d.count[from]) / (d.full[i] - d.full[from]) / kept
	if !(p > 0 && p < 1 && q > 0 && q < 1) {
		return 0
	}
	return (p*math.Log(p/q) + (1-p)*math.Log((1-p)/(1-q))) * (1 - 1e-9)
}

// of is the divergence when the first i bins are kept.
func (d *divergences) of(i int) float64 {
	all, kept, last := d.count[len(d.count)-1], d.count[i], float64(d.bins[i-1])
	outliers := all - kept
	if kept == 0 || last == 0 && outliers > 0 {
		return math.Inf(1)
	}
	sum := d.logs[i-1] + xlogx(last+outliers)
	from := 0
	for level := range entropyLevels {
		to := ((level+1)*i + entropyLevels - 1) / entropyLevels
		if c := d.count[to] - d.count[from]; c > 0 {
			a := c
			if level == entropyLevels-1 {
				a += outliers
			}
			sum -= a * math.Log(c/(d.full[to]-d.full[from]))
		}
		from = to
	}
	return sum/all - math.Log(all) + math.Log(kept)
}
