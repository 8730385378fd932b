package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// uncovered replays the demand; what most passes ask for comes first.
func uncovered(s Subject) []profiles.Gap {
	gaps := profiles.Check(s.Contract, s.Profiles, s.Demand, s.Reach)
	if s.Workload != nil {
		s.Workload.Attribute(gaps)
	}
	slices.SortStableFunc(gaps, func(a, b profiles.Gap) int { return cmp.Compare(b.Passes, a.Passes) })
	return gaps
}

// fixedBy tells whether the graph itself refuses the shapes of a gap.
func fixedBy(g profiles.Gap) bool {
	return slices.ContainsFunc(g.Outside, func(o profiles.Outside) bool { return o.Fixed })
}

func asks(o profiles.Outside) Interval { return Interval{o.Size, max(o.Size, o.To)} }

// message is everything that is known of a gap but the remedy; passes are those
// of the whole demand.
func message(g profiles.Gap, passes float64) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s (%s, %.3g %% of passes%s): ", g.Shape, plural(g.Shapes, "shape", "shapes"), 100*g.Passes/max(passes, 1e-300), who(g))
	if g.Profile < 0 {
		b.WriteString("there is no profile")
	}
	for i, o := range g.Outside {
		if i > 0 {
			b.WriteString("; ")
		}
		is := "is"
		if o.Buffer {
			is = "must hold"
		}
		_, _ = fmt.Fprintf(&b, "%s dimension %d %s %s, ", several(o.Inputs), o.Dim, is, asks(o))
		switch {
		case o.Fixed:
			_, _ = fmt.Fprintf(&b, "the graph fixes it at %d", o.Min)
		case o.Max < o.Min:
			_, _ = fmt.Fprintf(&b, "profile %d has no range for it", g.Profile)
		default:
			_, _ = fmt.Fprintf(&b, "profile %d holds %s", g.Profile, Interval{o.Min, o.Max})
		}
	}
	return b.String()
}

const maxNamed = 3 // scenarios that a message names

func who(g profiles.Gap) string {
	var b strings.Builder
	for i, a := range g.Asked {
		if i == maxNamed {
			_, _ = fmt.Fprintf(&b, " and %d more", len(g.Asked)-i)
			break
		}
		if i == 0 {
			b.WriteString("; asked for by")
		}
		_, _ = fmt.Fprintf(&b, "%s %s", map[bool]string{true: ","}[i > 0], a)
	}
	return b.String()
}

// correction is the smallest change that lets the nearest profile hold a gap.
func correction(g profiles.Gap) string {
	if g.Profile < 0 {
		return "derive profiles: trtforge profiles derive"
	}
	var parts []string
	for _, o := range g.Outside {
		where := fmt.Sprintf("of %s dimension %d", several(o.Inputs), o.Dim)
		in := asks(o)
		switch {
		case o.Fixed:
			return fmt.Sprintf("export the graph with dimension %d of %s dynamic, or ask for %d alone", o.Dim, o.Inputs[0], o.Min)
		case o.Max < o.Min:
			parts = append(parts, fmt.Sprintf("a range %s that holds %s", where, in))
			continue
		case in.Min < o.Min && !o.Buffer:
			parts = append(parts, fmt.Sprintf("min %s to %d", where, in.Min))
		}
		if in.Max > o.Max {
			parts = append(parts, fmt.Sprintf("max %s to %d", where, in.Max))
		}
	}
	return fmt.Sprintf("in profile %d set %s", g.Profile, strings.Join(parts, ", "))
}
