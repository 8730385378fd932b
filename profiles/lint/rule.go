package lint

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// needs is what a rule cannot do without.
type needs struct{ inputs, contract, graph, demand, other bool }

// Rule is one rule as data, and the function that applies it.
type Rule struct {
	ID       string
	Severity Severity
	What     string    // what is found, as a sentence without its end
	Why      string    // why it matters
	Fix      string    // what to do, where the finding knows nothing better
	Stricter bool      // NVIDIA's builder accepts it
	Prevents string    // the failure that is met otherwise
	Only     []Backend // nil = all

	needs needs
	check func(*look) []Finding
}

// Rules are all rules, in the order of their ids.
func Rules() []Rule {
	return slices.Concat(nameRules, rangeRules, jointRules, demandRules, wasteRules, backendRules, graphRules)
}

// look is a subject and what several rules ask of it.
type look struct {
	Subject
	inputs     *contract.Contract // the contract, or the inputs that the graph declares
	violations []profiles.Violation
	gaps       []profiles.Gap
	served     [][]profiles.Shape // by profile, the demand that it serves first
	unserved   []profiles.Shape   // what no reachable profile holds
	ranges     []map[string]profiles.Range
	parts      int      // in how many pieces TensorRT takes the graph
	border     []string // the tensors between them
}

func newLook(s Subject) *look {
	if s.Backend == "" {
		s.Backend = TensorRT
	}
	if s.Reach == "" {
		s.Reach = s.reach()
	}
	l := &look{Subject: s, inputs: s.Contract}
	if l.inputs == nil && s.Graph != nil {
		l.inputs = &contract.Contract{Inputs: s.Graph.Inputs}
	}
	for _, p := range s.Profiles {
		ranges := make(map[string]profiles.Range, len(p.Inputs))
		for _, r := range p.Inputs {
			ranges[r.Input] = r
		}
		l.ranges = append(l.ranges, ranges)
	}
	if s.Graph != nil && !s.Backend.whole() {
		l.parts, l.border = s.Graph.parts(l.Backend)
	}
	l.violations = profiles.Violations(l.inputs, s.Profiles)
	if s.Contract != nil && len(s.Demand) > 0 {
		l.gaps = uncovered(s)
		l.served, l.unserved = served(s)
	}
	return l
}

// reach is what the backend's version can reach. One that profiles does not know
// is thought to switch.
func (s Subject) reach() profiles.Reach {
	version := s.Options.TRT
	if !s.Backend.whole() {
		version = s.Options.ORT
	}
	r, err := profiles.ReachOf(string(s.Backend), version)
	if err != nil {
		return profiles.Any
	}
	return r.Reach
}

// applies tells whether the rule can judge the subject.
func (r Rule) applies(l *look) bool {
	n := r.needs
	return (r.Only == nil || slices.Contains(r.Only, l.Backend)) &&
		(!n.inputs || l.inputs != nil) && (!n.contract || l.Contract != nil) &&
		(!n.other || l.Other != nil) && (!n.graph || l.Graph != nil) && (!n.demand || len(l.Demand) > 0)
}

// Check applies every rule that can be applied. Findings come in the order of the
// rules, then of the profiles.
func Check(s Subject) []Finding { return newLook(s).check() }

func (l *look) check() []Finding {
	all := []Finding{}
	for _, r := range Rules() {
		if !r.applies(l) {
			continue
		}
		for _, f := range merged(r.check(l)) {
			f.ID, f.Severity, f.Explanation, f.Stricter, f.Prevents = r.ID, r.Severity, r.Why, r.Stricter, r.Prevents
			if f.Fix == "" {
				f.Fix = r.Fix
			}
			all = append(all, f)
		}
	}
	return all
}

// merged makes one finding of what is true of several profiles in the same way.
func merged(all []Finding) (out []Finding) {
	at := map[string]int{}
	for _, f := range all {
		key := fmt.Sprint(f.Dim, f.Message, f.Inputs)
		if i, known := at[key]; known && f.Profile >= 0 && f.Uncovered == nil {
			out[i].Also = append(out[i].Also, f.Profile)
			continue
		}
		at[key] = len(out)
		out = append(out, f)
	}
	return out
}

// general is a finding about no single profile.
func general(message string) Finding { return Finding{Profile: -1, Dim: -1, Message: message} }
