package stats

import (
	"fmt"
	"math"
	"slices"
	"sort"

	moremath "github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
)

// confidence is the level of every interval, tail what lies beyond each end.
const (
	confidence = 0.95
	tail       = (1 - confidence) / 2
)

// spreadLimit is the coefficient of variation above which a row is marked: the
// machine was busy, or the figure has more than one mode.
const spreadLimit = 0.10

// Summary is a centre with its 95 % interval, and what to doubt about it.
type Summary struct {
	Value, Lo, Hi float64
	N             int
	Warnings      []string
}

// HasInterval tells whether both ends are known.
func (s Summary) HasInterval() bool {
	return !math.IsInf(s.Lo, 0) && !math.IsInf(s.Hi, 0) && !math.IsNaN(s.Lo) && !math.IsNaN(s.Hi)
}

// Median is the median of values with a distribution-free interval (order
// statistics of the binomial), the same that benchstat prints. Below six values
// no such interval exists: its ends are infinite and a warning says so.
func Median(values []float64) Summary {
	if s, bad := unfit(values); bad {
		return s
	}
	sample := benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
	s := benchmath.AssumeNothing.Summary(sample, confidence)
	out := Summary{Value: s.Center, Lo: s.Lo, Hi: s.Hi, N: len(values)}
	if !out.HasInterval() {
		out = out.without(fmt.Sprintf("%d of at least %d samples", len(values), LeastSamples(0.5)))
	}
	if cv := variation(values); cv > spreadLimit {
		out.Warnings = append(out.Warnings, fmt.Sprintf("samples vary by %.0f %% of their mean", 100*cv))
	}
	return out
}

// Quantile is the q-quantile of values with a distribution-free interval: order
// statistics beyond which at most 2.5 % lie on either side, by the exact binomial.
// Where fewer values exist than LeastSamples(q) its ends are infinite and a
// warning says so: the 99 % quantile wants 368.
func Quantile(values []float64, q float64) Summary {
	if s, bad := unfit(values); bad {
		return s
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	sample := moremath.Sample{Xs: sorted, Sorted: true}
	out := Summary{Value: sample.Quantile(q), N: n}
	lo, hi, ok := quantileRanks(n, q)
	if !ok {
		return out.without(fmt.Sprintf("%d of at least %d samples for the %g %% quantile", n, LeastSamples(q), 100*q))
	}
	out.Lo, out.Hi = sorted[lo], sorted[hi]
	return out
}

// quantileRanks are the ends of the q-quantile's interval among n sorted values,
// from 0; ok is false where n is too small.
func quantileRanks(n int, q float64) (lo, hi int, ok bool) {
	below := moremath.BinomialDist{N: n, P: q} // how many samples lie below the quantile
	// lo is the highest that exceeds the quantile with at most 2.5 %.
	lo = sort.Search(n, func(k int) bool { return below.CDF(float64(k)) > tail }) - 1
	hi = sort.Search(n, func(k int) bool { return 1-below.CDF(float64(k)) <= tail })
	return lo, hi, lo >= 0 && hi < n
}

// LeastSamples is the least number of samples for which the q-quantile has a
// distribution-free 95 % interval: 6 for the median, 36 for 0.9, 368 for 0.99.
func LeastSamples(q float64) int {
	// All samples on one side of the quantile must be an event of at most 2.5 %.
	return int(math.Ceil(math.Log(tail) / math.Log(max(q, 1-q))))
}

// without gives s infinite ends and says why.
func (s Summary) without(why string) Summary {
	s.Lo, s.Hi = math.Inf(-1), math.Inf(1)
	s.Warnings = append(s.Warnings, "no 95 % interval: "+why)
	return s
}

// unfit is the summary of samples that have no figure: there are none, or some
// are not finite.
func unfit(samples ...[]float64) (Summary, bool) {
	s := Summary{Value: math.NaN(), Lo: math.Inf(-1), Hi: math.Inf(1)}
	for _, values := range samples {
		s.N += len(values)
		if len(values) == 0 {
			s.Warnings = []string{"no samples"}
			return s, true
		}
	}
	if bad := notFinite(samples...); bad > 0 {
		s.Warnings = []string{fmt.Sprintf("%d of %d samples are not finite", bad, s.N)}
		return s, true
	}
	return s, false
}

// notFinite counts NaN and infinities.
func notFinite(samples ...[]float64) (n int) {
	for _, values := range samples {
		for _, v := range values {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				n++
			}
		}
	}
	return n
}

// variation is the coefficient of variation, standard deviation over mean; 0
// for fewer than two values.
func variation(values []float64) float64 {
	if len(values) < 2 {
		return 0
	}
	s := moremath.Sample{Xs: values}
	return s.StdDev() / math.Abs(s.Mean())
}
