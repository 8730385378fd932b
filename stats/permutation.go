package stats

import (
	"math"
	"math/big"
)

// exactPermutations is how many rearrangements are counted out; of more,
// Resamples are drawn.
const exactPermutations = 1 << 18

// Permutation tests whether the means of two independent samples differ, by
// giving the values to the sides anew. Statistic is mean a - mean b. P counts
// rearrangements that are as extreme, twice those of the smaller tail; where they
// are drawn, itself among them (B. Phipson and G. K. Smyth, 2010), so it is never 0.
func Permutation(a, b []float64, seed uint64) Test {
	t, ok := newTest(a, b)
	if !ok {
		return t
	}
	t.Statistic = mean(a) - mean(b)
	all := append(append([]float64{}, a...), b...)
	// With the total fixed the sum of one side decides; the smaller side is rearranged.
	side := a
	if len(b) < len(a) {
		side = b
	}
	tails := newTails(sumOf(side), all)
	ways := new(big.Int).Binomial(int64(len(all)), int64(len(side)))
	if ways.IsInt64() && ways.Int64() <= exactPermutations {
		t.Method = "exact"
		subsets(all, len(side), 0, tails.add)
		t.P = tails.p(0)
		return t
	}
	t.Method = "permutations"
	r := source(seed)
	for range Resamples {
		sum := 0.0
		for i := range side {
			j := i + r.IntN(len(all)-i)
			all[i], all[j] = all[j], all[i]
			sum += all[i]
		}
		tails.add(sum)
	}
	t.P = tails.p(1)
	return t
}

// PairedPermutation tests whether the mean of the differences a[i]-b[i] is zero, by
// giving them other signs. Statistic is that mean; P as in Permutation.
func PairedPermutation(a, b []float64, seed uint64) Test {
	t, ok := newPairs(a, b)
	if !ok {
		return t
	}
	d := make([]float64, len(a))
	for i := range d {
		d[i] = a[i] - b[i]
	}
	t.Statistic = mean(d)
	tails := newTails(sumOf(d), d)
	if len(d) < 63 && 1<<len(d) <= exactPermutations {
		t.Method = "exact"
		signs(d, 0, tails.add)
		t.P = tails.p(0)
		return t
	}
	t.Method = "permutations"
	r := source(seed)
	for range Resamples {
		sum := 0.0
		for _, v := range d {
			if r.Uint64()&1 == 0 {
				v = -v
			}
			sum += v
		}
		tails.add(sum)
	}
	t.P = tails.p(1)
	return t
}

// tails counts sums at or beyond one that was observed.
type tails struct {
	observed, slack     float64
	less, greater, seen int
}

// newTails counts against observed. Sums of the same values in another order
// differ by rounding, which must not count.
func newTails(observed float64, values []float64) *tails {
	size := 0.0
	for _, v := range values {
		size += math.Abs(v)
	}
	return &tails{observed: observed, slack: 1e-14 * size}
}

func (t *tails) add(sum float64) {
	t.seen++
	if sum <= t.observed+t.slack {
		t.less++
	}
	if sum >= t.observed-t.slack {
		t.greater++
	}
}

// p is the two-sided share; own is 1 where the observed sum is not among those seen.
func (t *tails) p(own int) float64 {
	n := float64(t.seen + own)
	return twoSided(float64(t.less+own)/n, float64(t.greater+own)/n)
}

// subsets calls f with the sum of every k of the values.
func subsets(values []float64, k int, sum float64, f func(sum float64)) {
	if k == 0 {
		f(sum)
		return
	}
	for i := range len(values) - k + 1 {
		subsets(values[i+1:], k-1, sum+values[i], f)
	}
}

// signs calls f with the sum of the values under every choice of signs.
func signs(values []float64, sum float64, f func(sum float64)) {
	if len(values) == 0 {
		f(sum)
		return
	}
	signs(values[1:], sum+values[0], f)
	signs(values[1:], sum-values[0], f)
}

func sumOf(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}
