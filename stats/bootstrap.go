package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Resamples is how many times a bootstrap draws where its caller asks for 0.
const Resamples = 10_000

// salt keeps the draws of a seed apart from what others draw with it.
const salt = 0x7472_7466_6f72_6765

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, salt)) }

// BCa is the statistic of n things (samples, windows, groups) and its
// bias-corrected and accelerated bootstrap interval (B. Efron, J. Am. Stat. Assoc.
// 82, 1987). statistic is called with the indices of what was drawn, n of them or,
// to measure the acceleration, n-1; it must not keep them. The draws depend on n,
// resamples (0 = Resamples) and seed alone: figures of the same things are drawn
// together.
func BCa(n int, statistic func(draw []int) float64, resamples int, seed uint64) Summary {
	if n == 0 {
		s, _ := unfit(nil)
		return s
	}
	out := Summary{Value: statistic(whole(n)), N: n}
	if n < 2 {
		return out.without("one sample")
	}
	values := make([]float64, orDefault(resamples))
	draw, r := make([]int, n), source(seed)
	for i := range values {
		redraw(draw, n, r)
		values[i] = statistic(draw)
	}
	return out.accelerated(values, jackknife(n, statistic))
}

// whole is every index once.
func whole(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// redraw fills draw with indices below n.
func redraw(draw []int, n int, r *rand.Rand) {
	for i := range draw {
		draw[i] = r.IntN(n)
	}
}

func orDefault(resamples int) int {
	if resamples <= 0 {
		return Resamples
	}
	return resamples
}

// jackknife is the statistic without each thing in turn.
func jackknife(n int, statistic func(draw []int) float64) []float64 {
	values, draw := make([]float64, n), whole(n)[1:]
	for i := range values {
		values[i] = statistic(draw)
		if i < n-1 {
			draw[i] = i // in place of i+1, which is left out next
		}
	}
	return values
}

// accelerated gives s the BCa interval of bootstrap values. left is the jackknife
// of each sample that the statistic is made of.
func (s Summary) accelerated(values []float64, left ...[]float64) Summary {
	if bad := notFinite(values); bad > 0 || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
		return s.without(fmt.Sprintf("the figure is not finite in %d of %d resamples", bad, len(values)))
	}
	slices.Sort(values)
	if values[0] == values[len(values)-1] {
		s.Lo, s.Hi = values[0], values[0]
		return s
	}
	below, _ := slices.BinarySearch(values, s.Value)
	upTo := below
	for upTo < len(values) && values[upTo] == s.Value {
		upTo++
	}
	bias := quantileOfNormal(float64(below+upTo) / float64(2*len(values)))
	if math.IsInf(bias, 0) {
		s.Warnings = append(s.Warnings, "the figure lies beyond all resamples: a percentile interval")
		return s.percentile(values)
	}
	a := acceleration(left)
	end := func(z float64) float64 {
		return quantileOf(values, normal(bias+(bias+z)/(1-a*(bias+z))))
	}
	s.Lo, s.Hi = end(-z95), end(z95)
	return s
}

// percentile gives s the plain interval of sorted bootstrap values.
func (s Summary) percentile(sorted []float64) Summary {
	s.Lo, s.Hi = quantileOf(sorted, tail), quantileOf(sorted, 1-tail)
	return s
}

// acceleration is how fast the figure's spread changes with it, from the
// jackknife of each sample (Efron and Tibshirani, An Introduction to the Bootstrap,
// 1993, eq. 14.15; for several samples eq. 15.36's sums over all).
func acceleration(left [][]float64) float64 {
	var cubes, squares float64
	for _, values := range left {
		n, centre := float64(len(values)), mean(values)
		for _, v := range values {
			u := (n - 1) * (centre - v) / n
			cubes += u * u * u
			squares += u * u
		}
	}
	if squares == 0 {
		return 0
	}
	return cubes / (6 * math.Pow(squares, 1.5))
}

// quantileOf interpolates linearly between sorted values (Hyndman and Fan's type
// 7, numpy's default).
func quantileOf(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	i := min(max(int(at), 0), len(sorted)-1)
	j := min(i+1, len(sorted)-1)
	return sorted[i] + (at-float64(i))*(sorted[j]-sorted[i])
}

// z95 is the 97.5 % quantile of the normal distribution.
const z95 = 1.959963984540054

func normal(z float64) float64           { return math.Erfc(-z/math.Sqrt2) / 2 }
func quantileOfNormal(p float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*p) }

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
