package lint

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

var wasteRules = []Rule{
	{
		ID: "TF411", Severity: Warning,
		What:     "A profile that serves nothing",
		Why:      "every profile is tuned by itself, so it costs build time, and may store the weights once more",
		Fix:      "remove it, or add what it is for to the workload",
		Prevents: "a longer build and a larger engine for nothing",
		needs:    needs{contract: true, demand: true}, check: idle,
	},
	{
		ID: "TF412", Severity: Info,
		What:     "A range that is wider than what it serves",
		Why:      "memory follows max, and kernels are chosen to work over the whole range",
		Fix:      "tighten it to the demand, or keep it as room for requests to come",
		Prevents: "memory and speed that are paid for shapes nobody asks for",
		needs:    needs{contract: true, demand: true}, check: loose,
	},
	{
		ID: "TF413", Severity: Warning,
		What:     "A max of twice the demand or more",
		Why:      "activation memory and key-value buffers are sized for max in every dimension at once",
		Fix:      "lower max to the demand with the room that you mean",
		Prevents: "out of memory, or `Could not find any implementation for node` for want of workspace",
		needs:    needs{contract: true, demand: true}, check: oversized,
	},
	{
		ID: "TF414", Severity: Warning,
		What:     "An optimum far from where the demand is",
		Why:      "opt decides which kernels are chosen; away from it they slow down and nothing says so",
		Fix:      "put opt on the shape that most passes have",
		Prevents: "decode steps on kernels that were chosen for long prompts, or the reverse",
		needs:    needs{contract: true, demand: true}, check: misplaced,
	},
	{
		ID: "TF415", Severity: Warning,
		What:     "A gap between profiles",
		Why:      "a length between two buckets lies in neither",
		Fix:      "let each bucket begin where the one below it ends",
		Prevents: "`does not satisfy any optimization profiles` for the first request of that length",
		needs:    needs{contract: true}, check: gaps,
	},
	{
		ID: "TF416", Severity: Warning,
		What:     "A profile inside one before it",
		Why:      "a runtime that takes the first profile which holds a shape never takes this one",
		Fix:      "put the narrower profile first, or remove it",
		Prevents: "build time and kernels for a profile that never runs",
		check:    shadowed,
	},
	{
		ID: "TF417", Severity: Info,
		What:     "The batch varies, and the workload has one size",
		Why:      "with the batch fixed the builder fuses more; several dynamic values slow its graph compiler's kernels",
		Fix:      "set min = opt = max of the batch",
		Prevents: "`Myelin graph with multiple dynamic values may have poor performance`",
		needs:    needs{contract: true, demand: true}, check: needlessBatch,
	},
	{
		ID: "TF418", Severity: Info, Only: []Backend{RTX, RTXEP, TensorRT},
		What:     "A profile of one token beside one of more, both of one fixed batch",
		Why:      "the weights may be stored once for each: GPT-2 in FP32 took 1,159 MB with seq = 1 beside a dynamic prefill at batch 1, and 659 MB with one profile",
		Fix:      "let the batch vary (672 MB at 1 to 4), or use one wide profile where size matters more than speed",
		Prevents: "an engine of twice the size",
		needs:    needs{contract: true}, check: twiceStored,
	},
}

// reachable are the profiles that can run, by number.
func (l *look) reachable() int {
	if l.Reach == profiles.First {
		return min(1, len(l.Profiles))
	}
	return len(l.Profiles)
}

func idle(l *look) (all []Finding) {
	for i := range l.reachable() {
		// What fails to serve its demand is said to be uncovered, not idle.
		near := slices.ContainsFunc(l.gaps, func(g profiles.Gap) bool { return g.Profile == i })
		if len(l.served[i]) == 0 && !near {
			all = append(all, Finding{Profile: i, Dim: -1, Message: fmt.Sprintf("profile %d serves none of %s", i, plural(profiles.Count(l.Demand), "shape", "shapes"))})
		}
	}
	return all
}

// own are the roles that a workload asks for by themselves; past + sequence
// follows from them, and at the corner of a wide profile exceeds every pass.
var own = []contract.Role{contract.Batch, contract.Seq, contract.Past}

// compare makes findings of how the sides of the profiles stand to what each
// serves.
func compare(l *look, said func(s sided, in Interval, usual int64) string) (all []Finding) {
	for i := range l.reachable() {
		if len(l.served[i]) == 0 {
			continue
		}
		for _, role := range own {
			sides := l.sides(i, role)
			if len(sides) == 0 {
				continue
			}
			in, usual := asked(l.served[i], role)
			all = append(all, alike(sides, func(s sided) string { return said(s, in, usual) })...)
		}
	}
	return all
}

func tooLarge(s sided, in Interval) bool { return s.max >= 2*max(in.Max, 1) }

func loose(l *look) []Finding {
	return compare(l, func(s sided, in Interval, _ int64) string {
		if (s.min < in.Min || s.max > in.Max) && !tooLarge(s, in) {
			return fmt.Sprintf("holds %s, and is asked for %s", Interval{s.min, s.max}, in)
		}
		return ""
	})
}

func oversized(l *look) []Finding {
	return compare(l, func(s sided, in Interval, _ int64) string {
		if tooLarge(s, in) {
			return fmt.Sprintf("has max %d, and is asked for at most %d", s.max, in.Max)
		}
		return ""
	})
}

// far is when an optimum counts as misplaced: half or twice what is usual, and
// some tokens more, since small sizes share kernels.
const farTokens = 16

func misplaced(l *look) []Finding {
	return compare(l, func(s sided, in Interval, usual int64) string {
		off := max(s.opt-usual, usual-s.opt)
		outside := s.opt < in.Min || s.opt > in.Max
		if off > farTokens && (outside || s.opt > 2*usual || usual > 2*s.opt) {
			return fmt.Sprintf("has its optimum at %d, and half of the passes are within %d", s.opt, usual)
		}
		return ""
	})
}

// spans are a profile's ranges by role.
func (l *look) spans(profile int) map[contract.Role]Interval {
	spans := map[contract.Role]Interval{}
	for _, s := range l.sides(profile, own...) {
		role := s.input.Dims[s.dim].Role
		if _, known := spans[role]; !known {
			spans[role] = Interval{s.min, s.max}
		}
	}
	return spans
}

func gaps(l *look) (all []Finding) {
	spans := make([]map[contract.Role]Interval, l.reachable())
	for i := range spans {
		spans[i] = l.spans(i)
	}
	for i, below := range spans {
		for _, role := range own {
			if role == contract.Seq && below[role].Max == 1 {
				continue // a decode profile is no bucket of prompts
			}
			if j := above(spans, i, role); j >= 0 {
				from, to := below[role].Max+1, spans[j][role].Min-1
				all = append(all, Finding{Profile: i, Dim: -1, Message: fmt.Sprintf("%s %s lies between profile %d, which ends at %d, and profile %d, which begins at %d",
					role, Interval{from, to}, i, below[role].Max, j, spans[j][role].Min)})
			}
		}
	}
	return all
}

// above is the nearest profile that begins beyond the end of profile i with a
// gap between, and meets it in all other roles; -1 where something is next to it.
func above(spans []map[contract.Role]Interval, i int, role contract.Role) int {
	best := -1
	end, ok := spans[i][role]
	if !ok {
		return -1
	}
	for j, s := range spans {
		if j == i || !meets(s, spans[i], role) {
			continue
		}
		switch in := s[role]; {
		case in.Min <= end.Max+1 && in.Max > end.Max:
			return -1 // goes on where i ends
		case in.Min > end.Max+1 && (best < 0 || in.Min < spans[best][role].Min):
			best = j
		}
	}
	return best
}

func meets(a, b map[contract.Role]Interval, but contract.Role) bool {
	for role, x := range a {
		if y, ok := b[role]; !ok || role != but && (x.Max < y.Min || y.Max < x.Min) {
			return false
		}
	}
	return len(a) > 0
}

func shadowed(l *look) (all []Finding) {
	for j := 1; j < l.reachable(); j++ {
		for i := range j {
			if !inside(l.Profiles[j], l.Profiles[i]) {
				continue
			}
			how := "lies inside"
			if inside(l.Profiles[i], l.Profiles[j]) {
				how = "has the ranges of"
			}
			all = append(all, Finding{Profile: j, Dim: -1, Message: fmt.Sprintf("profile %d %s profile %d", j, how, i)})
			break
		}
	}
	return all
}

// inside tells whether each range of a lies in that of b.
func inside(a, b profiles.Profile) bool {
	ranges := make(map[string]profiles.Range, len(b.Inputs))
	for _, r := range b.Inputs {
		ranges[r.Input] = r
	}
	for _, r := range a.Inputs {
		o, ok := ranges[r.Input]
		if !ok || len(o.Min) != len(r.Min) || len(o.Max) != len(r.Max) || len(r.Min) != len(r.Max) {
			return false
		}
		for d := range r.Min {
			if r.Min[d] < o.Min[d] || r.Max[d] > o.Max[d] {
				return false
			}
		}
	}
	return len(a.Inputs) > 0 && len(a.Inputs) == len(b.Inputs)
}

func needlessBatch(l *look) (all []Finding) {
	in, _ := asked(l.Demand, contract.Batch)
	for i := range l.reachable() {
		all = append(all, alike(l.sides(i, contract.Batch), func(s sided) string {
			if in.Min == in.Max && s.min < s.max {
				return fmt.Sprintf("is %s, and only batch %d is asked for", Interval{s.min, s.max}, in.Min)
			}
			return ""
		})...)
	}
	return all
}

// twiceStored asks profiles.StoresTwice, with spans that are read off the ranges:
// profiles that came from another tool have no others.
func twiceStored(l *look) []Finding {
	var all []profiles.Profile
	for i := range l.Profiles {
		s := l.spans(i)
		b, seq := s[contract.Batch], s[contract.Seq]
		all = append(all, profiles.Profile{Batch: profiles.Span{Min: int(b.Min), Max: int(b.Max)}, Seq: profiles.Span{Min: int(seq.Min), Max: int(seq.Max)}})
	}
	if !profiles.StoresTwice(all) {
		return nil
	}
	return []Finding{general("one profile is of one batch and one token, another of that batch and more tokens")}
}
