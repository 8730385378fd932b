package compare

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

// Options say how figures are compared. The zero value is what the command line
// does unless told otherwise.
type Options struct {
	Margin         float64  // a ratio within this share of 1 is no change, a tenth of it in figures of accuracy; 0 = 0.02
	Permutation    bool     // compare means by permutation instead of ranks
	AcrossMachines bool     // compare times though the machines differ
	Figures        []string // patterns (path.Match) of the names that are compared; empty = all
	Seed           uint64   // of bootstraps and permutations
}

const defaultMargin = 0.02

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
func Runs(old, now *Results, o Options) (*Comparison, error) { return compare(old, now, false, o) }

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
	old, now := r.of(a, both), r.of(b, both)
	return compare(old, now, true, o)
}

func compare(old, now *Results, paired bool, o Options) (*Comparison, error) {
	if o.Margin == 0 {
		o.Margin = defaultMargin
	}
	for _, pattern := range o.Figures {
		if _, err := path.Match(pattern, ""); err != nil {
			return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("%q is no pattern of figures' names", pattern), "as tpot or kl_*")
		}
	}
	c := &Comparison{Old: old, New: now, Margin: o.Margin}
	if !paired { // two engines of one run share its machine
		c.machines(o)
	}
	j := judge{Options: o, c: c, paired: paired, oldShapes: old.shapes(), newShapes: now.shapes()}
	before := map[key]rows.Row{}
	for _, r := range old.Rows {
		before[keyOf(r)] = r
	}
	seen := map[key]bool{}
	for _, r := range now.Rows {
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
		return nil, fault.New(fault.Input, "comparing", old.Name+" and "+now.Name, "no figure has such a name", "leave the filter out to see them all")
	}
	c.adjust()
	for i := range c.Changes {
		c.classify(&c.Changes[i])
	}
	c.apart()
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

// Names are those of the figures, in order.
func (c *Comparison) Names() []string {
	names := map[string]bool{}
	for _, one := range c.Changes {
		names[one.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}
