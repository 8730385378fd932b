package stats

import (
	"fmt"
	"math"
	"slices"

	moremath "github.com/aclements/go-moremath/stats"
)

// GroupedQuantile is the q-quantile of all values of the groups together (the gaps
// between the tokens of requests), where values of one group resemble each other.
// Its interval is that of Quantile for as many independent values as they are worth:
// fewer by the design effect, which is how much more the groups' shares below the
// quantile vary than those of independent values would, and by the few groups that
// tell it (E. L. Korn and B. I. Graubard, Surv. Methodol. 24, 1998).
func GroupedQuantile(groups [][]float64, q float64) Summary {
	all := slices.Concat(groups...)
	if s, bad := unfit(all); bad {
		return s
	}
	slices.Sort(all)
	out := Summary{Value: moremath.Sample{Xs: all, Sorted: true}.Quantile(q), N: len(all)}
	if len(groups) < 2 {
		return out.without("one group")
	}
	worth := worthOf(groups, out.Value)
	lo, hi, ok := quantileRanks(worth, q)
	if !ok {
		return out.without(fmt.Sprintf("%d values in %d groups are worth %d independent ones, of at least %d for the %g %% quantile",
			len(all), len(groups), worth, LeastSamples(q), 100*q))
	}
	// The same shares of all values.
	scale := float64(len(all)) / float64(worth)
	out.Lo = all[int(float64(lo)*scale)]
	out.Hi = all[min(int(math.Ceil(float64(hi+1)*scale))-1, len(all)-1)]
	return out
}

// worthOf is how many independent values tell the share up to limit as well as those
// of the groups do.
func worthOf(groups [][]float64, limit float64) int {
	up := make([]float64, len(groups))
	var below, n float64
	for i, g := range groups {
		for _, v := range g {
			if v <= limit {
				up[i]++
			}
		}
		below, n = below+up[i], n+float64(len(g))
	}
	share, m := below/n, float64(len(groups))
	spread := 0.0
	for i, g := range groups {
		off := up[i] - share*float64(len(g))
		spread += off * off
	}
	effect := 1.0
	if alone := n * share * (1 - share); alone > 0 {
		effect = max(1, m/(m-1)*spread/alone)
	}
	student := func(freedom float64) float64 { return moremath.InvCDF(moremath.TDist{V: freedom})(1 - tail) }
	few := student(n-1) / student(m-1)
	return int(n / effect * few * few)
}
