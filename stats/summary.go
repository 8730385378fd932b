package stats

import (
	"fmt"
	"math"
	"sort"

	moremath "github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
)

// confidence is the level of every interval.
const confidence = 0.95

// spreadLimit is the coefficient of variation above which a row is marked: the
// machine was busy, or the figure has more than one mode.
const spreadLimit = 0.10

// Summary is a centre with its 95 % interval, and what to doubt about it.
type Summary struct {
	Value, Lo, Hi float64
	N             int
	Warnings      []string
}

// Median is the median of values with a distribution-free interval (order
// statistics of the binomial). Below six values no such interval exists: its
// ends are infinite and a warning says so.
func Median(values []float64) Summary {
	if len(values) == 0 {
		return none()
	}
	sample := benchmath.NewSample(append([]float64{}, values...), &benchmath.DefaultThresholds)
	s := benchmath.AssumeNothing.Summary(sample, confidence)
	out := Summary{Value: s.Center, Lo: s.Lo, Hi: s.Hi, N: len(values)}
	if math.IsInf(s.Lo, 0) || math.IsInf(s.Hi, 0) {
		out.Lo, out.Hi = math.Inf(-1), math.Inf(1)
		out.Warnings = append(out.Warnings, fmt.Sprintf("no 95 %% interval: %d of at least 6 samples", len(values)))
	}
	if cv := variation(values); cv > spreadLimit {
		out.Warnings = append(out.Warnings, fmt.Sprintf("samples vary by %.0f %% of their mean", 100*cv))
	}
	return out
}

// Quantile is the q-quantile of values with a distribution-free interval.
// Where too few values exist for one, its ends are infinite and a warning says so.
func Quantile(values []float64, q float64) Summary {
	if len(values) == 0 {
		return none()
	}
	sorted := append([]float64{}, values...)
	sort.Float64s(sorted)
	sample := moremath.Sample{Xs: sorted, Sorted: true}
	value, lo, hi := moremath.QuantileCI(len(sorted), q, confidence).SampleCI(sample)
	out := Summary{Value: value, Lo: lo, Hi: hi, N: len(values)}
	if math.IsInf(lo, 0) || math.IsInf(hi, 0) {
		out.Lo, out.Hi = math.Inf(-1), math.Inf(1)
		out.Warnings = append(out.Warnings, fmt.Sprintf("no 95 %% interval for the %.0f %% quantile of %d samples", 100*q, len(values)))
	}
	return out
}

// none is the summary of no values.
func none() Summary {
	return Summary{Value: math.NaN(), Lo: math.Inf(-1), Hi: math.Inf(1), Warnings: []string{"no samples"}}
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
