package stats

import (
	"math"
	"slices"

	"github.com/aclements/go-moremath/mathx"
)

// KruskalWallis tests whether groups of samples (the rounds of a benchmark) come
// from one distribution (W. H. Kruskal and W. A. Wallis, J. Am. Stat. Assoc. 47,
// 1952), by the chi-squared approximation with a correction for ties. Statistic is H;
// N1 counts groups, N2 samples.
func KruskalWallis(groups ...[]float64) Test {
	all := slices.Concat(groups...)
	t := Test{P: math.NaN(), N1: len(groups), N2: len(all)}
	if len(groups) < 2 {
		t.Warnings = []string{"one group cannot differ from others"}
		return t
	}
	if s, bad := unfit(groups...); bad {
		t.Warnings = s.Warnings
		return t
	}
	ranks, ties := rank(all)
	n, at := float64(len(all)), 0
	for _, g := range groups {
		sum := sumOf(ranks[at : at+len(g)])
		t.Statistic += sum * sum / float64(len(g))
		at += len(g)
	}
	t.Statistic = 12/(n*(n+1))*t.Statistic - 3*(n+1)
	t.Method = "chi-squared"
	if len(ties) == 1 {
		t.P, t.Statistic = 1, 0
		return t
	}
	t.Statistic /= 1 - tieSum(ties)/(n*n*n-n)
	t.P = mathx.GammaIncComp(float64(len(groups)-1)/2, t.Statistic/2)
	return t
}
