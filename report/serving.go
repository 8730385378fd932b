package report

import (
	"slices"

	"github.com/trtforge/trtforge/profiles"
)

// coverage gives for each demanded shape the profile that serves it, -1 where
// none does: as the plan says, or else by its profiles' spans.
func coverage(plan *profiles.Plan) []int {
	if len(plan.Coverage) == len(plan.Demand) {
		return plan.Coverage
	}
	var all []int
	for _, s := range plan.Demand {
		all = append(all, covering(plan, s))
	}
	return all
}

// covering is the first profile whose spans hold the shape, or -1.
func covering(plan *profiles.Plan, s profiles.Shape) int {
	return slices.IndexFunc(plan.Profiles, func(p profiles.Profile) bool {
		return within(s.Batch, p.Batch) && within(s.Seq, p.Seq) && within(s.Past, p.Past)
	})
}

func within(v int, s profiles.Span) bool { return s.Min <= v && v <= s.Max }
