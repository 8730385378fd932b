package stats

import (
	"math"
	"slices"
)

// Zeros says what the signed-rank test does with pairs that are equal.
type Zeros string

// The ways to treat equal pairs.
const (
	DropZeros Zeros = "wilcox" // leave them out, as Wilcoxon did
	RankZeros Zeros = "pratt"  // give them ranks, and leave those out (J. W. Pratt, 1959)
)

// Wilcoxon is the signed-rank test of pairs (F. Wilcoxon, 1945), dropping equal
// ones, as scipy does unless told otherwise. See WilcoxonWith.
func Wilcoxon(a, b []float64) Test { return WilcoxonWith(a, b, DropZeros) }

// WilcoxonWith tests whether the differences a[i]-b[i] lie about zero. Statistic is
// the smaller of the sums of ranks of positive and negative differences. Up to 50
// differences the distribution is exact, ties included; beyond it is normal with a
// correction for ties.
func WilcoxonWith(a, b []float64, zeros Zeros) Test {
	t, ok := newPairs(a, b)
	if !ok {
		return t
	}
	ranks, plus, ties := signedRanks(a, b, zeros)
	if len(ranks) == 0 {
		t.P, t.Method = 1, "exact"
		t.Warnings = append(t.Warnings, "all pairs are equal")
		return t
	}
	total := 0.0
	for _, r := range ranks {
		total += r
	}
	t.Statistic = min(plus, total-plus)
	if len(ranks) <= exactRanks {
		t.Method = "exact"
		t.P = min(1, 2*cumulated(rankSums(ranks), t.Statistic))
		return t
	}
	t.Method = "normal"
	t.P = normalTails(t.Statistic-total/2, math.Sqrt(variance(len(a), len(ranks), zeros, ties)), 0)
	return t
}

// signedRanks are the ranks of the differences that are not zero, the sum of those
// of positive ones, and their ties.
func signedRanks(a, b []float64, zeros Zeros) (ranks []float64, plus float64, ties []int) {
	var size []float64
	var positive []bool
	for i := range a {
		if d := a[i] - b[i]; d != 0 || zeros == RankZeros {
			size, positive = append(size, math.Abs(d)), append(positive, d > 0)
		}
	}
	all, ties := rank(size)
	if len(size) > 0 && slices.Min(size) == 0 {
		ties = ties[1:] // the zeros' own
	}
	for i, r := range all {
		if size[i] == 0 {
			continue
		}
		ranks = append(ranks, r)
		if positive[i] {
			plus += r
		}
	}
	return ranks, plus, ties
}

// variance is that of the sum of positive ranks (for ranked zeros E. E. Cureton,
// J. Am. Stat. Assoc. 62, 1967).
func variance(pairs, used int, zeros Zeros, ties []int) float64 {
	cube := func(n int) float64 { f := float64(n); return f * (f + 1) * (2*f + 1) }
	v := cube(used)
	if zeros == RankZeros {
		v = cube(pairs) - cube(pairs-used)
	}
	return (v - tieSum(ties)/2) / 24
}

// rankSums is the probability of each sum of positive ranks, in steps of a half,
// where each has either sign.
func rankSums(ranks []float64) []float64 {
	p := []float64{1}
	for _, r := range ranks {
		step := int(2 * r) // ranks are multiples of a half
		next := make([]float64, len(p)+step)
		for i, v := range p {
			next[i] += v / 2
			next[i+step] += v / 2
		}
		p = next
	}
	return p
}

// cumulated is the probability of a sum of at most s.
func cumulated(p []float64, s float64) (sum float64) {
	for _, v := range p[:int(2*s)+1] {
		sum += v
	}
	return sum
}
