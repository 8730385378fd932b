package stats

import (
	"fmt"
	"math"
	"slices"

	moremath "github.com/aclements/go-moremath/stats"
)

// Test is the outcome of a two-sided test that two samples do not differ.
type Test struct {
	P         float64 // NaN where nothing could be tested
	Statistic float64
	N1, N2    int
	Method    string // "exact", "normal", "permutations"
	Warnings  []string
}

// How far distributions are counted out; beyond, they are normal to many digits.
const (
	exactRanks     = 50 // Mann-Whitney without ties, each side; Wilcoxon
	exactTiedRanks = 25 // Mann-Whitney with ties, each side
)

// MannWhitney tests whether values of a tend to be larger or smaller than those
// of b (H. B. Mann and D. R. Whitney, 1947). Statistic is U of a. Up to 50 values a
// side, 25 where some are tied, the distribution is exact, ties included; beyond it
// is normal with corrections for ties and continuity. P is twice the smaller tail.
func MannWhitney(a, b []float64) Test {
	t, ok := newTest(a, b)
	if !ok {
		return t
	}
	ranks, ties := rank(slices.Concat(a, b))
	n1, n2 := float64(t.N1), float64(t.N2)
	for _, r := range ranks[:t.N1] {
		t.Statistic += r
	}
	t.Statistic -= n1 * (n1 + 1) / 2
	most, tied := max(t.N1, t.N2), slices.Max(ties) > 1
	switch {
	case len(ties) == 1:
		t.P, t.Method = 1, "exact"
		t.Warnings = append(t.Warnings, "all samples are equal")
	case most <= exactTiedRanks, most <= exactRanks && !tied:
		t.Method = "exact"
		if !tied {
			ties = nil
		}
		// The distribution of tied ranks is not symmetric: each side has its own tail.
		less := moremath.UDist{N1: t.N1, N2: t.N2, T: ties}.CDF(t.Statistic)
		greater := moremath.UDist{N1: t.N2, N2: t.N1, T: ties}.CDF(n1*n2 - t.Statistic)
		t.P = twoSided(less, greater)
	default:
		t.Method = "normal"
		n := n1 + n2
		variance := n1 * n2 / 12 * (n + 1 - tieSum(ties)/(n*(n-1)))
		t.P = normalTails(t.Statistic-n1*n2/2, math.Sqrt(variance), 0.5)
	}
	return t
}

// newTest is a test of two samples; ok is false where they cannot be tested.
func newTest(a, b []float64) (t Test, ok bool) {
	t = Test{P: math.NaN(), N1: len(a), N2: len(b)}
	if s, bad := unfit(a, b); bad {
		t.Warnings = s.Warnings
		return t, false
	}
	return t, true
}

// newPairs is newTest of samples that belong together one by one.
func newPairs(a, b []float64) (t Test, ok bool) {
	if t, ok = newTest(a, b); ok && len(a) != len(b) {
		t.Warnings = append(t.Warnings, fmt.Sprintf("%d and %d samples make no pairs", len(a), len(b)))
		return t, false
	}
	return t, ok
}

// rank is the rank of each value, from 1, ties at the mean of theirs, and how many
// values share each rank, in ascending order.
func rank(values []float64) (ranks []float64, ties []int) {
	order := whole(len(values))
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case values[i] < values[j]:
			return -1
		case values[i] > values[j]:
			return 1
		}
		return 0
	})
	ranks = make([]float64, len(values))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && values[order[j]] == values[order[i]] {
			j++
		}
		for _, at := range order[i:j] {
			ranks[at] = float64(i+1+j) / 2
		}
		ties = append(ties, j-i)
		i = j
	}
	return ranks, ties
}

// tieSum is the sum of t^3 - t over the ties.
func tieSum(ties []int) (sum float64) {
	for _, n := range ties {
		t := float64(n)
		sum += t*t*t - t
	}
	return sum
}

// twoSided is twice the smaller of two tails, at most 1.
func twoSided(less, greater float64) float64 { return min(1, 2*min(less, greater)) }

// normalTails is the two-sided p of a distance from the mean, which a correction
// for continuity shortens.
func normalTails(distance, deviation, correction float64) float64 {
	return min(1, 2*normal(-(math.Abs(distance)-correction)/deviation))
}
