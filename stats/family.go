package stats

import (
	"math"
	"slices"
)

// Holm adjusts the p-values of a family of tests, in their order, so that one
// false alarm among all of them is as rare as a single test promises
// (S. Holm, Scand. J. Stat. 6, 1979). A NaN was no test: it stays and does not count.
func Holm(p []float64) []float64 {
	out := slices.Repeat([]float64{math.NaN()}, len(p))
	var order []int
	for i, v := range p {
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(i, j int) int {
		if p[i] < p[j] {
			return -1
		} else if p[i] > p[j] {
			return 1
		}
		return 0
	})
	least := 0.0
	for k, i := range order {
		least = max(least, min(1, float64(len(order)-k)*p[i]))
		out[i] = least
	}
	return out
}

// Wilson is the share k of n with its score interval (E. B. Wilson, J. Am. Stat.
// Assoc. 22, 1927), which holds for shares near 0 and 1, too.
func Wilson(k, n int) Summary {
	if n < 1 || k < 0 || k > n {
		s, _ := unfit(nil)
		return s
	}
	p, m := float64(k)/float64(n), float64(n)
	centre := (p + z95*z95/(2*m)) / (1 + z95*z95/m)
	half := z95 / (1 + z95*z95/m) * math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	return Summary{Value: p, Lo: max(0, centre-half), Hi: min(1, centre+half), N: n}
}
