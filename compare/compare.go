package compare

import (
	"fmt"
	"math"
	"path"
	"slices"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// Options say how figures are compared. The zero value is what the command line
// does unless told otherwise.
type Options struct {
	Margin         float64  // a ratio within this share of 1 is no change; 0 = 0.02
	Permutation    bool     // compare means by permutation instead of ranks
	AcrossMachines bool     // compare times though the machines differ
	Figures        []string // patterns (path.Match) of the names that are compared; empty = all
	Seed           uint64   // of bootstraps and permutations
}

const defaultMargin = 0.02

// alpha is the level at which a change is believed.
const alpha = 0.05

// Comparison is all figures of two sides.
type Comparison struct {
	Old      *Results `json:"old"`
	New      *Results `json:"new"`
	Machines []string `json:"machines_differ,omitempty"`
	Margin   float64  `json:"margin"`
	Tested   int      `json:"tested"` // figures in the family that Holm adjusts for
	Changes  []Change `json:"changes"`
	Warnings []string `json:"warnings,omitempty"`
}

// Count is how many changes are of the class.
func (c *Comparison) Count(class Class) (n int) {
	for _, one := range c.Changes {
		if one.Class == class {
			n++
		}
	}
	return n
}

// Runs compares two runs, figure by figure of the same name.
func Runs(old, new *Results, o Options) (*Comparison, error) { return compare(old, new, false, o) }

// Engines compares engine b with engine a of the same results: a is the old side.
// Rounds that both took part in are pairs.
func Engines(r *Results, a, b string, o Options) (*Comparison, error) {
	known := r.Engines()
	for _, name := range []string{a, b} {
		if !slices.Contains(known, name) {
			return nil, fault.New(fault.Usage, "comparing engines", r.Name, fmt.Sprintf("it has no engine %q", name), fmt.Sprintf("name two of %q", known))
		}
	}
	if a == b {
		return nil, fault.New(fault.Usage, "comparing engines", r.Name, fmt.Sprintf("%s and itself do not differ", a), "name two engines")
	}
	both := a + " -> " + b
	old, new := r.of(a, both), r.of(b, both)
	return compare(old, new, true, o)
}

func compare(old, new *Results, paired bool, o Options) (*Comparison, error) {
	if o.Margin == 0 {
		o.Margin = defaultMargin
	}
	for _, pattern := range o.Figures {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("%q is no pattern of figures' names", pattern), "as tpot or kl_*")
		}
	}
	c := &Comparison{Old: old, New: new, Margin: o.Margin}
	if !paired { // two engines of one run share its machine
		c.machines(o)
	}
	j := judge{Options: o, c: c, paired: paired, oldShapes: old.shapes(), newShapes: new.shapes()}
	before := map[key]rows.Row{}
	for _, r := range old.Rows {
		before[keyOf(r)] = r
	}
	seen := map[key]bool{}
	for _, r := range new.Rows {
		if !o.wants(r.Name) {
			continue
		}
		k := keyOf(r)
		seen[k] = true
		if was, ok := before[k]; ok {
			c.Changes = append(c.Changes, j.change(was, r))
		} else {
			c.Changes = append(c.Changes, alone(r, New))
		}
	}
	for _, r := range old.Rows {
		if o.wants(r.Name) && !seen[keyOf(r)] {
			c.Changes = append(c.Changes, alone(r, Gone))
		}
	}
	if len(c.Changes) == 0 {
		return nil, fault.New(fault.Input, "comparing", old.Name+" and "+new.Name, "no figure has such a name", "leave the filter out to see them all")
	}
	c.adjust()
	for i := range c.Changes {
		c.classify(&c.Changes[i])
	}
	return c, nil
}

func (o Options) wants(name string) bool {
	return len(o.Figures) == 0 || slices.ContainsFunc(o.Figures, func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok })
}

// machines says how the machines differ.
func (c *Comparison) machines(o Options) {
	for _, r := range []*Results{c.Old, c.New} {
		if r.Machine == nil {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s has no %s: nobody knows whether its machine is the other one's", r.Name, machineFile))
		}
	}
	if c.Old.Machine == nil || c.New.Machine == nil {
		return
	}
	if c.Machines = c.Old.Machine.Differs(c.New.Machine); len(c.Machines) > 0 && o.AcrossMachines {
		c.Warnings = append(c.Warnings, "times are compared across machines that differ: a change may be the machine's")
	}
}

// alone is a figure that one side has.
func alone(r rows.Row, class Class) Change {
	c := Change{Engine: r.Engine, Scenario: r.Scenario, Phase: r.Phase, Name: r.Name, Unit: r.Unit, Better: direction(r.Name, r.Unit), Class: class}
	if class == New {
		c.New = figure(summary(r))
	} else {
		c.Old = figure(summary(r))
	}
	return c
}

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
	if lo == hi && !ofMachine(one.Name, one.Unit) {
		margin = 0 // a size or a count: any difference is one
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

// judge compares figures of two sides.
type judge struct {
	Options
	c                    *Comparison
	paired               bool
	oldShapes, newShapes map[[2]string]shape
}

// change compares one figure; its class is set where that is clear already.
func (j judge) change(old, new rows.Row) Change {
	c := Change{Engine: new.Engine, Scenario: new.Scenario, Phase: new.Phase, Name: new.Name, Unit: new.Unit, Better: direction(new.Name, new.Unit)}
	c.Old, c.New = figure(summary(old)), figure(summary(new))
	if why := j.refuse(old, new); why != "" {
		c.Class = Refused
		c.warn("%s", why)
		return c
	}
	switch oldBad, newBad := notFinite(old.Value), notFinite(new.Value); {
	case oldBad && newBad:
		c.Class = Undecided
		c.warn("it is no number on either side")
	case newBad:
		c.Class = Regressed
		c.warn("it is no number any more: %v", new.Value)
	case oldBad:
		c.Class = Improved
		c.warn("it was no number: %v", old.Value)
	default:
		j.measure(&c, old, new)
	}
	return c
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// refuse says why the figures cannot be compared at all.
func (j judge) refuse(old, new rows.Row) string {
	if old.Unit != new.Unit {
		return fmt.Sprintf("it was in %s and is in %s", old.Unit, new.Unit)
	}
	if ofMachine(new.Name, new.Unit) && len(j.c.Machines) > 0 && !j.AcrossMachines {
		return "the machines differ"
	}
	mode := string(bench.Cached)
	if new.Phase == string(bench.Uncached) || new.Phase == string(bench.Chunked) {
		mode = new.Phase
	}
	at := [2]string{new.Scenario, mode}
	a, inOld := j.oldShapes[at]
	b, inNew := j.newShapes[at]
	if inOld && inNew && a != b {
		return fmt.Sprintf("scenario %s was %s and is %s", new.Scenario, a, b)
	}
	return ""
}

// measure sets the figures against each other by the best that both sides kept.
func (j judge) measure(c *Change, old, new rows.Row) {
	before, after := j.c.Old.observations(old), j.c.New.observations(new)
	switch {
	case exact(old) && exact(new):
		c.plain(old.Value, new.Value)
	case len(before) > 0 && len(after) > 0 && positive(before) && positive(after):
		j.test(c, before, after)
	default:
		c.byIntervals(summary(old), summary(new))
	}
	if j.AcrossMachines && len(j.c.Machines) > 0 && ofMachine(c.Name, c.Unit) {
		c.warn("across machines that differ")
	}
}

// exact tells whether a figure has no spread at all: a size, a count.
func exact(r rows.Row) bool { return r.Lo == r.Value && r.Hi == r.Value && len(r.Samples) == 0 }

// plain compares figures without spread.
func (c *Change) plain(old, new float64) {
	if old > 0 && new > 0 {
		r := new / old
		c.Ratio = &Figure{Value: rows.Number(r), Lo: rows.Number(r), Hi: rows.Number(r), N: 1}
		return
	}
	d := new - old
	c.Difference = &Figure{Value: rows.Number(d), Lo: rows.Number(d), Hi: rows.Number(d), N: 1}
}

// byIntervals compares figures of which only the intervals are known.
func (c *Change) byIntervals(old, new stats.Summary) {
	reachesZero := func(s stats.Summary) bool { return s.Value <= 0 || s.HasInterval() && s.Lo <= 0 }
	if !reachesZero(old) && !reachesZero(new) {
		s := stats.RatioOfSummaries(new, old)
		c.Ratio, c.Warnings = figure(s), append(c.Warnings, s.Warnings...)
		return
	}
	s := stats.DifferenceOfSummaries(new, old)
	c.Difference, c.Warnings = figure(s), append(c.Warnings, s.Warnings...)
}
