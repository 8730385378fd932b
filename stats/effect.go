package stats

import (
	"fmt"
	"math"
	"slices"
	"sort"

	moremath "github.com/aclements/go-moremath/stats"
)

// CliffsDelta is how much more often a value of a exceeds one of b than the other
// way round, from -1 to 1 (N. Cliff, Psychol. Bull. 114, 1993). NaN without samples.
func CliffsDelta(a, b []float64) float64 {
	if _, bad := unfit(a, b); bad {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(b))
	sum := 0
	for _, v := range a {
		below := sort.SearchFloat64s(sorted, v)
		above := len(sorted) - sort.Search(len(sorted), func(i int) bool { return sorted[i] > v })
		sum += below - above
	}
	return float64(sum) / float64(len(a)) / float64(len(b))
}

// Magnitude is a word for Cliff's delta, by the bounds that J. Romano et al. (2006)
// set beside Cohen's.
func Magnitude(delta float64) string {
	switch d := math.Abs(delta); {
	case d < 0.147:
		return "negligible"
	case d < 0.33:
		return "small"
	case d < 0.474:
		return "medium"
	case d <= 1:
		return "large"
	}
	return "unknown"
}

// HodgesLehmann is the shift from b to a, the median of all differences, with the
// interval that inverts the Mann-Whitney test (J. L. Hodges and E. L. Lehmann, 1963).
// It has none below 4 and 4 samples.
func HodgesLehmann(a, b []float64) Summary {
	if s, bad := unfit(a, b); bad {
		return s
	}
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	all := len(a) * len(b)
	count := func(v float64) (n int) { // differences up to v: as i rises, j never falls
		j := 0
		for _, x := range a {
			for j < len(b) && x-b[j] > v {
				j++
			}
			n += len(b) - j
		}
		return n
	}
	ends := [2]float64{a[0] - b[len(b)-1], a[len(a)-1] - b[0]}
	return centred(all, min(len(a), len(b)), ends, count, distributionOfU(len(a), len(b)))
}

// PseudoMedian is the median of the means of all pairs of values, each with itself
// included, with the interval that inverts Wilcoxon's signed-rank test. It is the
// median where values lie symmetrically. It has no interval below 6 values.
func PseudoMedian(values []float64) Summary {
	if s, bad := unfit(values); bad {
		return s
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	count := func(limit float64) (seen int) { // as i rises, j never rises
		j := n - 1
		for i := range v {
			for j >= i && v[i]/2+v[j]/2 > limit {
				j--
			}
			if j < i {
				break
			}
			seen += j - i + 1
		}
		return seen
	}
	return centred(n*(n+1)/2, n, [2]float64{v[0], v[n-1]}, count, distributionOfRanks(n))
}

// centred is the median of all numbers that count counts, and its interval: the
// order statistics that cut off 2.5 % of a test's distribution. n is the size of
// the sample, ends the least and the greatest number.
func centred(all, n int, ends [2]float64, count func(float64) int, below func(statistic int) float64) Summary {
	at := func(k int) float64 { return selected(k, ends, count) }
	out := Summary{Value: (at((all+1)/2) + at(all/2+1)) / 2, N: n}
	cut := sort.Search(all/2+1, func(k int) bool { return below(k) > tail })
	if cut == 0 {
		return out.without(fmt.Sprintf("%d samples are too few", n))
	}
	out.Lo, out.Hi = at(cut), at(all+1-cut)
	return out
}

// distributionOfU is the probability of a U of at most k, without ties.
func distributionOfU(n1, n2 int) func(k int) float64 {
	if max(n1, n2) <= exactTiedRanks {
		d := moremath.UDist{N1: n1, N2: n2}
		return func(k int) float64 { return d.CDF(float64(k)) }
	}
	a, b := float64(n1), float64(n2)
	centre, deviation := a*b/2, math.Sqrt(a*b*(a+b+1)/12)
	return func(k int) float64 { return normal((float64(k) + 0.5 - centre) / deviation) }
}

// distributionOfRanks is the probability of a sum of positive ranks of at most k,
// without ties.
func distributionOfRanks(n int) func(k int) float64 {
	if n <= exactRanks {
		ranks := make([]float64, n)
		for i := range ranks {
			ranks[i] = float64(i + 1)
		}
		p := rankSums(ranks)
		return func(k int) float64 { return cumulated(p, float64(k)) }
	}
	m := float64(n)
	centre, deviation := m*(m+1)/4, math.Sqrt(m*(m+1)*(2*m+1)/24)
	return func(k int) float64 { return normal((float64(k) + 0.5 - centre) / deviation) }
}

// selected is the k-th smallest, from 1, of numbers that are never laid out: count
// says how many are at most v. Bisection over the bits of a float64 ends at the
// number itself, after 64 steps at most.
func selected(k int, ends [2]float64, count func(v float64) int) float64 {
	lo, hi := ordered(ends[0]), ordered(ends[1])
	for lo < hi {
		if mid := lo + (hi-lo)/2; count(unordered(mid)) >= k {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return unordered(lo) + 0 // -0 becomes 0
}

const signBit = 1 << 63

// ordered gives float64s unsigned integers in the same order.
func ordered(v float64) uint64 {
	b := math.Float64bits(v)
	if b&signBit != 0 {
		return ^b
	}
	return b | signBit
}

func unordered(b uint64) float64 {
	if b&signBit != 0 {
		return math.Float64frombits(b &^ signBit)
	}
	return math.Float64frombits(^b)
}
