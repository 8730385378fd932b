package stats

import (
	"fmt"
	"math"
)

// BlockPermutation tests whether two systems differ that were measured in the same
// blocks (rounds): a[i] and b[i] are positive samples of block i. Values change sides
// inside their block only, so what a block has in common cancels. Statistic is the
// mean over blocks of the difference of mean logarithms. Rearrangements are drawn;
// P counts as in Permutation.
func BlockPermutation(a, b [][]float64, seed uint64) Test {
	t := Test{P: math.NaN(), N1: len(a), N2: len(b), Method: "permutations"}
	if len(a) != len(b) || len(a) == 0 {
		t.Warnings = []string{fmt.Sprintf("%d and %d blocks make no pairs", len(a), len(b))}
		return t
	}
	var blocks [][]float64 // the logarithms of a[i] and then of b[i]
	size := 0.0
	for i := range a {
		if s, bad := unfitRatio(a[i], b[i]); bad {
			t.Warnings = s.Warnings
			return t
		}
		var logs []float64
		for _, v := range append(append([]float64{}, a[i]...), b[i]...) {
			logs = append(logs, math.Log(v))
			size += math.Abs(logs[len(logs)-1])
		}
		blocks = append(blocks, logs)
		t.Statistic += apart(logs, len(a[i]))
	}
	counted := &tails{observed: t.Statistic, slack: 1e-14 * size}
	t.Statistic /= float64(len(a))
	r := source(seed)
	for range Resamples {
		sum := 0.0
		for i, logs := range blocks {
			r.Shuffle(len(logs), func(i, j int) { logs[i], logs[j] = logs[j], logs[i] })
			sum += apart(logs, len(a[i]))
		}
		counted.add(sum)
	}
	t.P = counted.p(1)
	return t
}

// apart is the mean of the first n values less that of the others.
func apart(values []float64, n int) float64 { return mean(values[:n]) - mean(values[n:]) }
