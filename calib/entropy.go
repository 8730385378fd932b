package calib

import "math"

// The figures of TensorRT's entropy calibration: bins of the histogram, and
// levels that they are quantized to.
const (
	entropyBins   = 2048
	entropyLevels = 128
)

// leastDivergence is the threshold of TensorRT's entropy calibration, as NVIDIA
// published it (S. Migacz, "8-bit Inference with TensorRT", GTC 2017, slides 27 to
// 38). The magnitudes are counted in 2,048 equal bins of [0, absmax], exact zeros
// in the first. For i from 128 to 2,048, with w a bin's width:
//
//   - P are the first i bins; the outliers, all that the others hold, are added to
//     the last of them.
//   - Q are the same bins without the outliers, quantized to 128 levels: bin j is
//     of level floor(128 j / i), and the sum of a level is shared equally by those of
//     its bins that are not empty. Empty bins stay empty.
//   - Both are divided by their sums, and the divergence of i is the sum over bins
//     of P ln(P/Q), where 0 ln(0/Q) is 0.
//
// Nothing is smoothed: where outliers are added to an empty bin, Q is 0 and P is
// not, so that the divergence is infinite and i is not chosen. The i of least
// divergence gives the threshold (i + 0.5) w, absmax at most; of equals the
// greatest i. The slides end at i = 2,047; we add 2,048, which clips nothing, as
// NVIDIA's own calibrators in Python do (TensorRT Model Optimizer, calib/histogram),
// for without it a range without outliers would be clipped too. Where a level
// begins that does not hold a whole number of bins the slides do not say; those
// calibrators divide evenly, as above.
//
// A stream cannot be counted in bins of a range that is not known before its end.
// The histogram's own bins are 16 to 32 times finer; see [Histogram.rebin].
func (h *Histogram) leastDivergence() float32 {
	if h.Counts == nil {
		return 0
	}
	bins := h.rebin(entropyBins)
	bins[0] += h.Zeros
	d := newDivergences(bins)
	best, least := entropyBins, math.Inf(1)
	for i := entropyBins; i >= entropyLevels; i-- {
		if kl := d.of(i); kl < least {
			best, least = i, kl
		}
	}
	top := float64(h.Amax())
	return float32(min(top, (float64(best)+0.5)*top/entropyBins))
}

// rebin counts the magnitudes in n equal bins of [0, absmax]. A bin that lies on
// an edge is divided as if its values were spread evenly, to whole numbers.
func (h *Histogram) rebin(n int) []int64 {
	ratio := float64(h.Amax()) / (math.Ldexp(1, h.Exp) / Bins) / float64(n) // own bins to one of the n
	out := make([]int64, n)
	var seen, before int64 // in the first at bins; below the last edge
	at := 0
	for i := range out {
		edge := float64(i+1) * ratio
		for ; at < len(h.Counts) && float64(at+1) <= edge; at++ {
			seen += h.Counts[at]
		}
		below := seen
		if at < len(h.Counts) {
			below += int64(math.RoundToEven(float64(h.Counts[at]) * max(0, edge-float64(at))))
		}
		if i == n-1 {
			below = h.Count - h.Zeros
		}
		out[i], before = below-before, below
	}
	return out
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
