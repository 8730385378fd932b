package stats

import (
	"fmt"
	"math"
	"slices"
)

// RatioOfMedians is the median of a over that of b, positive samples of two
// independent runs, with a percentile bootstrap interval. (BCa's jackknife does
// not converge for a median.)
func RatioOfMedians(a, b []float64, seed uint64) Summary {
	if s, bad := unfitRatio(a, b); bad {
		return s
	}
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	out := Summary{Value: medianOf(a) / medianOf(b), N: min(len(a), len(b))}
	if least := LeastSamples(0.5); out.N < least {
		return out.without(fmt.Sprintf("%d of at least %d samples on each side", out.N, least))
	}
	ratios := make([]float64, Resamples)
	r, countA, countB := source(seed), make([]int, len(a)), make([]int, len(b))
	redrawn := func(sorted []float64, count []int) float64 {
		clear(count)
		for range sorted {
			count[r.IntN(len(count))]++
		}
		return medianOfCounts(sorted, count)
	}
	for i := range ratios {
		ratios[i] = redrawn(a, countA) / redrawn(b, countB)
	}
	slices.Sort(ratios)
	return out.percentile(ratios)
}

// RatioOfMeans is the mean of a over that of b, positive samples of two
// independent runs, with a BCa interval.
func RatioOfMeans(a, b []float64, seed uint64) Summary {
	if s, bad := unfitRatio(a, b); bad {
		return s
	}
	meanA, meanB := mean(a), mean(b)
	out := Summary{Value: meanA / meanB, N: min(len(a), len(b))}
	if out.N < leastForMean {
		return out.without(fmt.Sprintf("%d of at least %d samples on each side", out.N, leastForMean))
	}
	ratios := make([]float64, Resamples)
	r, drawA, drawB := source(seed), make([]int, len(a)), make([]int, len(b))
	for i := range ratios {
		redraw(drawA, len(a), r)
		redraw(drawB, len(b), r)
		ratios[i] = MeanOf(a, drawA) / MeanOf(b, drawB)
	}
	return out.accelerated(ratios,
		jackknife(len(a), func(draw []int) float64 { return MeanOf(a, draw) / meanB }),
		jackknife(len(b), func(draw []int) float64 { return meanA / MeanOf(b, draw) }))
}

// PairedRatio is the ratio of a to b, positive samples taken in pairs (the same
// round of a benchmark): the pseudo-median of the pairs' ratios, in logarithms,
// with the interval that inverts Wilcoxon's signed-rank test. It has none below
// six pairs.
func PairedRatio(a, b []float64) Summary {
	if s, bad := unfitRatio(a, b); bad {
		return s
	}
	logs := make([]float64, len(a))
	for i := range logs {
		logs[i] = math.Log(a[i] / b[i])
	}
	s := PseudoMedian(logs)
	s.Value, s.Lo, s.Hi = math.Exp(s.Value), math.Exp(s.Lo), math.Exp(s.Hi)
	if !s.HasInterval() {
		s.Lo = math.Inf(-1)
	}
	return s
}

// RatioOfSummaries is the ratio of two independent positive figures of which only
// the intervals are known (method of variance estimates recovery, G. Y. Zou and
// A. Donner, Stat. Med. 27, 2008, in logarithms).
func RatioOfSummaries(a, b Summary) Summary {
	out := Summary{Value: a.Value / b.Value, N: min(a.N, b.N)}
	if !(a.Value > 0 && b.Value > 0) || math.IsInf(out.Value, 0) {
		return Summary{Value: math.NaN(), N: out.N}.without("a ratio wants positive figures")
	}
	if !a.HasInterval() || !b.HasInterval() || a.Lo <= 0 || b.Lo <= 0 {
		return out.without("one side has none")
	}
	arm := func(x, y float64) float64 { return math.Hypot(math.Log(x), math.Log(y)) }
	out.Lo = out.Value * math.Exp(-arm(a.Value/a.Lo, b.Hi/b.Value))
	out.Hi = out.Value * math.Exp(arm(a.Hi/a.Value, b.Value/b.Lo))
	return out
}

// DifferenceOfSummaries is a - b where only the intervals are known, as
// RatioOfSummaries, for figures that may be zero or negative.
func DifferenceOfSummaries(a, b Summary) Summary {
	out := Summary{Value: a.Value - b.Value, N: min(a.N, b.N)}
	if !a.HasInterval() || !b.HasInterval() {
		return out.without("one side has none")
	}
	out.Lo = out.Value - math.Hypot(a.Value-a.Lo, b.Hi-b.Value)
	out.Hi = out.Value + math.Hypot(a.Hi-a.Value, b.Value-b.Lo)
	return out
}

// unfitRatio is unfit, for samples that must be positive, too.
func unfitRatio(a, b []float64) (Summary, bool) {
	s, bad := unfit(a, b)
	if !bad && min(slices.Min(a), slices.Min(b)) <= 0 {
		s.Warnings, bad = []string{"a ratio wants positive samples"}, true
	}
	return s, bad
}

// medianOf is the median of sorted values.
func medianOf(sorted []float64) float64 { return quantileOf(sorted, 0.5) }

// medianOfCounts is the median of sorted values, each as often as count says and
// as many as there are values.
func medianOfCounts(sorted []float64, count []int) float64 {
	low, high := (len(sorted)-1)/2, len(sorted)/2 // ranks of the two in the middle
	seen, i := count[0], 0
	for seen <= low {
		i++
		seen += count[i]
	}
	j := i
	for seen <= high {
		j++
		seen += count[j]
	}
	return (sorted[i] + sorted[j]) / 2
}
