package compare

import (
	"math"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// alpha is the level at which a change is believed.
const alpha = 0.05

// accuracyMargin is the part of the margin within which figures that do not depend on
// the machine are unchanged: what is nothing in a time may be much in an agreement.
const accuracyMargin = 0.1

// adjust is Holm over every test that was made. A rate is the time it is made of,
// turned over: both are one hypothesis.
func (c *Comparison) adjust() {
	at := map[key]int{}
	var family []float64
	for _, one := range c.Changes {
		if one.P == nil || math.IsNaN(float64(*one.P)) {
			continue
		}
		if k := one.hypothesis(); !known(at, k) {
			at[k] = len(family)
			family = append(family, float64(*one.P))
		}
	}
	c.Tested = len(family)
	adjusted := stats.Holm(family)
	for i := range c.Changes {
		one := &c.Changes[i]
		if j, ok := at[one.hypothesis()]; ok && one.P != nil {
			p := rows.Number(adjusted[j])
			one.Adjusted = &p
		}
	}
}

func known(at map[key]int, k key) bool {
	_, ok := at[k]
	return ok
}

// hypothesis says what a test of the figure is about.
func (c Change) hypothesis() key {
	k := key{c.Engine, c.Scenario, c.Phase, c.Name}
	switch c.Name {
	case bench.PrefillRate:
		k.name = bench.TTFT
	case bench.DecodeRate:
		k.name = bench.TPOT
	}
	return k
}

// classify decides what became of a figure that was compared.
func (c *Comparison) classify(one *Change) {
	if one.Class != "" {
		return
	}
	r, same, margin := one.Ratio, 1.0, c.Margin
	if r == nil {
		r, same, margin = one.Difference, 0, 0
	}
	one.Class = Undecided
	if r == nil || math.IsNaN(float64(r.Value)) {
		return
	}
	lo, hi := float64(r.Lo), float64(r.Hi)
	if !ofMachine(one.Name, one.Unit) {
		margin *= accuracyMargin
		if lo == hi {
			margin = 0 // a size or a count: any difference is one
		}
	}
	switch {
	case lo >= same-margin && hi <= same+margin:
		one.Class = Unchanged
	case lo <= same && same <= hi:
	case one.Adjusted != nil && float64(*one.Adjusted) > alpha:
		if float64(*one.P) <= alpha {
			one.warn("by itself it differs (p = %.2g), among %d that were tested it may be chance", float64(*one.P), c.Tested)
		}
	case one.Better == Neither:
		one.Class = Changed
	case (lo > same) == (one.Better == Larger):
		one.Class = Improved
	default:
		one.Class = Regressed
	}
}
