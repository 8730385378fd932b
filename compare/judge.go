package compare

import (
	"fmt"
	"math"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
	"github.com/trtforge/trtforge/validate"
)

// judge compares figures of two sides.
type judge struct {
	Options
	c                    *Comparison
	paired               bool
	oldShapes, newShapes map[[2]string]shape
}

// change compares one figure; its class is set where that is clear already.
func (j judge) change(old, now rows.Row) Change {
	c := Change{Engine: now.Engine, Scenario: now.Scenario, Phase: now.Phase, Name: now.Name, Unit: now.Unit, Better: direction(now.Name, now.Unit)}
	c.Old, c.New = figure(summary(old)), figure(summary(now))
	if why := j.refuse(old, now); why != "" {
		c.Class = Refused
		c.warn("%s", why)
		return c
	}
	switch oldBad, newBad := notFinite(old.Value), notFinite(now.Value); {
	case oldBad && newBad:
		c.Class = Undecided
		c.warn("it is no number on either side")
	case newBad:
		c.Class = Regressed
		c.warn("it is no number any more: %v", now.Value)
	case oldBad:
		c.Class = Improved
		c.warn("it was no number: %v", old.Value)
	default:
		j.measure(&c, old, now)
	}
	return c
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

// convention is the one that a figure of accuracy follows, "" where it follows none.
func convention(r rows.Row) string { return string(r.Extra[validate.ConventionField]) }

// refuse says why the figures cannot be compared at all.
func (j judge) refuse(old, now rows.Row) string {
	if old.Unit != now.Unit {
		return fmt.Sprintf("it was in %s and is in %s", old.Unit, now.Unit)
	}
	if ofMachine(now.Name, now.Unit) && len(j.c.Machines) > 0 && !j.AcrossMachines {
		return "the machines differ"
	}
	if was, is := convention(old), convention(now); was != is && was != "" && is != "" {
		return fmt.Sprintf("its convention was %s and is %s", was, is)
	}
	mode := string(bench.Cached)
	if now.Phase == string(bench.Uncached) || now.Phase == string(bench.Chunked) {
		mode = now.Phase
	}
	at := [2]string{now.Scenario, mode}
	a, inOld := j.oldShapes[at]
	b, inNew := j.newShapes[at]
	if inOld && inNew && a != b {
		return fmt.Sprintf("scenario %s was %s and is %s", now.Scenario, a, b)
	}
	return ""
}

// measure sets the figures against each other by the best that both sides kept.
func (j judge) measure(c *Change, old, now rows.Row) {
	before, after := j.c.Old.observations(old), j.c.New.observations(now)
	switch {
	case exact(old) && exact(now), old.Value == now.Value && old.Lo == now.Lo && old.Hi == now.Hi && old.N == now.N:
		c.plain(old.Value, now.Value) // sizes and counts; the same text scored the same way
	case len(before) > 0 && len(after) > 0 && positive(before) && positive(after):
		j.test(c, before, after)
	default:
		c.byIntervals(summary(old), summary(now))
	}
	if j.AcrossMachines && len(j.c.Machines) > 0 && ofMachine(c.Name, c.Unit) {
		c.warn("across machines that differ")
	}
}

// exact tells whether a figure has no spread at all: a size, a count.
func exact(r rows.Row) bool { return r.Lo == r.Value && r.Hi == r.Value && len(r.Samples) == 0 }

// plain compares figures without spread.
func (c *Change) plain(old, now float64) {
	if old > 0 && now > 0 {
		r := now / old
		c.Ratio = &Figure{Value: rows.Number(r), Lo: rows.Number(r), Hi: rows.Number(r), N: 1}
		return
	}
	d := now - old
	c.Difference = &Figure{Value: rows.Number(d), Lo: rows.Number(d), Hi: rows.Number(d), N: 1}
}

// byIntervals compares figures of which only the intervals are known.
func (c *Change) byIntervals(old, now stats.Summary) {
	reachesZero := func(s stats.Summary) bool { return s.Value <= 0 || s.HasInterval() && s.Lo <= 0 }
	if !reachesZero(old) && !reachesZero(now) {
		s := stats.RatioOfSummaries(now, old)
		c.Ratio, c.Warnings = figure(s), append(c.Warnings, s.Warnings...)
		return
	}
	s := stats.DifferenceOfSummaries(now, old)
	c.Difference, c.Warnings = figure(s), append(c.Warnings, s.Warnings...)
}
