package report

import (
	"slices"

	"github.com/trtforge/trtforge/profiles"
)

// mostSingles is how large a block may be to be looked at shape by shape.
const mostSingles = 4000

// coverage is the demand and for each of its blocks the profile that serves it,
// -1 where none does: as the plan says, or else by its profiles' spans.
func coverage(plan *profiles.Plan) (demand []profiles.Shape, serving []int) {
	if len(plan.Coverage) == len(plan.Demand) {
		return plan.Demand, plan.Coverage
	}
	for _, s := range plan.Demand {
		if at := covering(plan, s); at >= 0 || s.Shapes() > mostSingles {
			demand, serving = append(demand, s), append(serving, at)
			continue
		}
		for one := range profiles.Each([]profiles.Shape{s}) {
			demand, serving = append(demand, one), append(serving, covering(plan, one))
		}
	}
	return demand, serving
}

// covering is the first profile whose spans hold a block of shapes, or -1.
func covering(plan *profiles.Plan, s profiles.Shape) int {
	last := s.Last()
	return slices.IndexFunc(plan.Profiles, func(p profiles.Profile) bool {
		return within(s.Batch, p.Batch) && within(s.Seq, p.Seq) && within(s.Past, p.Past) &&
			within(last.Batch, p.Batch) && within(last.Seq, p.Seq) && within(last.Past, p.Past)
	})
}

func within(v int, s profiles.Span) bool { return s.Min <= v && v <= s.Max }

// tallyShapes counts the distinct shapes of the demand, and those that a profile
// holds.
func tallyShapes(plan *profiles.Plan) (total, covered int) {
	demand, serving := coverage(plan)
	for i, s := range demand {
		if total += s.Shapes(); serving[i] >= 0 {
			covered += s.Shapes()
		}
	}
	return total, covered
}
