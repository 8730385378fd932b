package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// Interval is a range of sizes, both ends included.
type Interval struct {
	Min int64 `json:"min"`
	Max int64 `json:"max"`
}

func (i *Interval) add(n int64, first bool) {
	if first {
		i.Min, i.Max = n, n
		return
	}
	i.Min, i.Max = min(i.Min, n), max(i.Max, n)
}

func (i Interval) String() string {
	if i.Min == i.Max {
		return fmt.Sprint(i.Min)
	}
	return fmt.Sprintf("%d to %d", i.Min, i.Max)
}

// Origin is which passes of a scenario ask for a shape. Step 0 is the prefill;
// step n is the n-th pass after it.
type Origin struct {
	Scenario string   `json:"scenario"`
	Steps    Interval `json:"steps"`
}

// Correction is a size that a profile lacks and the change that gives it.
type Correction struct {
	Inputs []string `json:"inputs"`
	Dim    int      `json:"dim"`
	Asked  Interval `json:"asked"`
	Min    int64    `json:"min"` // what the profile holds; max < min = nothing
	Max    int64    `json:"max"`
	Fixed  bool     `json:"fixed,omitempty"` // the graph itself allows no other size
}

// Uncovered is a group of demanded shapes that no reachable profile holds: one
// phase and batch, one nearest profile, the same dimensions outside in the same
// direction.
type Uncovered struct {
	Phase       profiles.Phase `json:"phase"`
	Batch       int            `json:"batch"`
	Seq         Interval       `json:"seq"`
	Past        Interval       `json:"past"`
	Shapes      int            `json:"shapes"`  // distinct ones
	Share       float64        `json:"share"`   // of all passes, 0 to 1
	Profile     int            `json:"profile"` // the nearest; -1 = there is none
	Corrections []Correction   `json:"corrections,omitempty"`
	Origins     []Origin       `json:"origins,omitempty"`
}

// uncovered replays the demand and groups what no reachable profile holds.
func uncovered(s Subject) []Uncovered {
	total := 0.0
	for _, shape := range s.Demand {
		total += shape.Count
	}
	at := map[string]int{}
	var groups []Uncovered
	for _, g := range profiles.Check(s.Contract, s.Profiles, s.Demand, s.Reach) {
		k := kind(g)
		i, known := at[k]
		if !known {
			i = len(groups)
			at[k] = i
			groups = append(groups, Uncovered{Phase: g.Shape.Phase, Batch: g.Shape.Batch, Profile: g.Profile})
		}
		groups[i].add(g, total)
	}
	for i := range groups {
		groups[i].Origins = origins(s.Workload, groups[i])
	}
	slices.SortStableFunc(groups, func(a, b Uncovered) int { return cmp.Compare(b.Share, a.Share) })
	return groups
}

// kind is what shapes of one group have in common.
func kind(g profiles.Gap) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s %d %d", g.Shape.Phase, g.Shape.Batch, g.Profile)
	for _, o := range g.Outside {
		_, _ = fmt.Fprintf(&b, " %q %d %t", o.Inputs[0], o.Dim, o.Size < o.Min)
	}
	return b.String()
}

func (u *Uncovered) add(g profiles.Gap, total float64) {
	first := u.Shapes == 0
	u.Shapes++
	u.Seq.add(int64(g.Shape.Seq), first)
	u.Past.add(int64(g.Shape.Past), first)
	if total > 0 {
		u.Share += g.Shape.Count / total
	}
	for i, o := range g.Outside {
		if first {
			u.Corrections = append(u.Corrections, Correction{Inputs: o.Inputs, Dim: o.Dim, Min: o.Min, Max: o.Max, Fixed: o.Fixed})
		}
		u.Corrections[i].Asked.add(o.Size, first)
	}
}

// origins are the passes of scenarios that ask for a group's shapes.
func origins(w *profiles.Workload, u Uncovered) (all []Origin) {
	if w == nil {
		return nil
	}
	for _, s := range w.Scenarios {
		prompt, steps := int64(s.PromptTokens), int64(max(s.NewTokens-1, 0))
		if w.FeedLast {
			steps = int64(s.NewTokens)
		}
		o := Origin{Scenario: s.Name}
		switch u.Phase {
		case profiles.Prefill:
			o.Steps = Interval{0, 0}
			if prompt < u.Seq.Min || prompt > u.Seq.Max {
				continue
			}
		case profiles.Decode:
			o.Steps = Interval{max(1, u.Past.Min-prompt+1), min(steps, u.Past.Max-prompt+1)}
		case profiles.UncachedDecode:
			o.Steps = Interval{max(1, u.Seq.Min-prompt), min(steps, u.Seq.Max-prompt)}
		default:
			continue
		}
		if s.Batch == u.Batch && o.Steps.Min <= o.Steps.Max {
			all = append(all, o)
		}
	}
	return all
}

// fixed tells whether the graph itself refuses the shapes.
func (u Uncovered) fixed() bool {
	return slices.ContainsFunc(u.Corrections, func(c Correction) bool { return c.Fixed })
}

// String is the shapes in words: "decode of batch 4, seq 1, past 511 to 620".
func (u Uncovered) String() string {
	return fmt.Sprintf("%s of batch %d, seq %s, past %s", strings.ReplaceAll(string(u.Phase), "_", " "), u.Batch, u.Seq, u.Past)
}

// message is everything that is known of a group but the remedy.
func (u Uncovered) message() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s (%s, %.3g %% of passes%s): ", u, plural(u.Shapes, "shape", "shapes"), 100*u.Share, u.who())
	if u.Profile < 0 {
		b.WriteString("there is no profile")
	}
	for i, c := range u.Corrections {
		if i > 0 {
			b.WriteString("; ")
		}
		_, _ = fmt.Fprintf(&b, "%s dimension %d is %s, ", several(c.Inputs), c.Dim, c.Asked)
		switch {
		case c.Fixed:
			_, _ = fmt.Fprintf(&b, "the graph fixes it at %d", c.Min)
		case c.Max < c.Min:
			_, _ = fmt.Fprintf(&b, "profile %d has no range for it", u.Profile)
		default:
			_, _ = fmt.Fprintf(&b, "profile %d holds %s", u.Profile, Interval{c.Min, c.Max})
		}
	}
	return b.String()
}

const maxNamed = 3 // scenarios that a message names

func (u Uncovered) who() string {
	var b strings.Builder
	for i, o := range u.Origins {
		if i == maxNamed {
			_, _ = fmt.Fprintf(&b, " and %d more", len(u.Origins)-i)
			break
		}
		_, _ = fmt.Fprintf(&b, "; scenario %s, step %s", o.Scenario, o.Steps)
	}
	return b.String()
}

// fix is the smallest change that lets the nearest profile hold the group.
func (u Uncovered) fix() string {
	if u.Profile < 0 {
		return "derive profiles: trtforge profiles derive"
	}
	var parts []string
	for _, c := range u.Corrections {
		where := fmt.Sprintf("of %s dimension %d", several(c.Inputs), c.Dim)
		switch {
		case c.Fixed:
			return fmt.Sprintf("export the graph with dimension %d of %s dynamic, or ask for %d alone", c.Dim, c.Inputs[0], c.Min)
		case c.Max < c.Min:
			parts = append(parts, fmt.Sprintf("a range %s that holds %s", where, c.Asked))
			continue
		case c.Asked.Min < c.Min:
			parts = append(parts, fmt.Sprintf("min %s to %d", where, c.Asked.Min))
		}
		if c.Asked.Max > c.Max {
			parts = append(parts, fmt.Sprintf("max %s to %d", where, c.Asked.Max))
		}
	}
	return fmt.Sprintf("in profile %d set %s", u.Profile, strings.Join(parts, ", "))
}
