package stats

import (
	"fmt"
	"math"
	"slices"
)

// leastForMean is the least number of samples for which Mean gives an interval.
const leastForMean = 6

// Mean is the mean of values with a bootstrap-t interval (Efron and Tibshirani,
// 1993, section 12.5): each resample is measured in its own standard errors.
//
// Not BCa: of lognormal samples with sigma 1 and n = 30 BCa's interval holds the
// mean in 90 of 100 cases and Student's in 89, bootstrap-t's in 93. It costs
// width, which is what skewed samples are worth.
func Mean(values []float64, seed uint64) Summary { return meanOf(values, Resamples, seed) }

func meanOf(values []float64, resamples int, seed uint64) Summary {
	if s, bad := unfit(values); bad {
		return s
	}
	n := len(values)
	centre, spread := moments(values, whole(n))
	out := Summary{Value: centre, N: n}
	if n < leastForMean {
		return out.without(fmt.Sprintf("%d of at least %d samples", n, leastForMean))
	}
	if spread == 0 {
		out.Lo, out.Hi = centre, centre
		return out
	}
	t := make([]float64, resamples)
	draw, r := make([]int, n), source(seed)
	for i := range t {
		redraw(draw, n, r)
		m, s := moments(values, draw)
		if t[i] = (m - centre) / s; math.IsNaN(t[i]) {
			t[i] = 0 // the same value drawn n times, and it is the mean
		}
	}
	slices.Sort(t)
	out.Lo, out.Hi = centre-spread*quantileOf(t, 1-tail), centre-spread*quantileOf(t, tail)
	if !out.HasInterval() {
		return out.without("too many samples are equal")
	}
	return out
}

// moments is the mean of the drawn values and its scale, the standard deviation.
// The root of n cancels.
func moments(values []float64, draw []int) (mean, deviation float64) {
	mean = MeanOf(values, draw)
	sum := 0.0
	for _, i := range draw {
		sum += (values[i] - mean) * (values[i] - mean)
	}
	return mean, math.Sqrt(sum / float64(len(draw)-1))
}
