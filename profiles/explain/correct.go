package explain

import (
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// Correction is what the profiles at hand make of a finding.
type Correction struct {
	Notes   []string `json:"notes,omitempty"`   // which profile holds the shape, whether the engine is another's
	Changes []string `json:"changes,omitempty"` // what was changed, one size each
	Syntax  string   `json:"syntax,omitempty"`
	Before  string   `json:"before,omitempty"`
	After   string   `json:"after,omitempty"` // ready to paste

	Profiles []profiles.Profile `json:"profiles,omitempty"`
}

// spoken is the syntax that each tool reads. A Triton model's engine was built by
// trtexec, most often.
var spoken = map[string]string{ORT: syntax.ORT, ORTRTX: syntax.RTX, Polygraphy: syntax.Polygraphy,
	Trtexec: syntax.Trtexec, TensorRT: syntax.Trtexec, RTX: syntax.Trtexec, Triton: syntax.Trtexec}

// apply adds a correction to a root that profiles at hand say more about. alike
// are all roots of its pattern, itself the first.
func (c Context) apply(f *Finding, alike []*Finding, tools []string) {
	fixed := slices.Contains(statics, f.ID) && c.Contract != nil // that needs no profiles
	if len(c.Profiles) == 0 && !fixed || f.Class != Shape && f.Class != Profile {
		return
	}
	d := &diagnosis{Context: c, f: f, first: onlyFirst(tools), out: &Correction{}}
	if f.Class == Shape {
		d.shape(alike)
	} else {
		d.profile()
	}
	d.emit(tools)
	if len(d.out.Notes)+len(d.out.Changes) > 0 || d.out.After != "" {
		f.Correction = d.out
	}
}

// onlyFirst tells whether the log's runtime never leaves the first profile.
func onlyFirst(tools []string) bool {
	return slices.Contains(tools, ORT) && !slices.Contains(tools, ORTRTX)
}

func rangeOf(p profiles.Profile, input string) *profiles.Range {
	for i := range p.Inputs {
		if p.Inputs[i].Input == input {
			return &p.Inputs[i]
		}
	}
	return nil
}

func holds(r *profiles.Range, shape []int64) bool {
	if r == nil || len(r.Min) != len(shape) || len(r.Max) != len(shape) || len(shape) == 0 {
		return false
	}
	for i, n := range shape {
		if n < r.Min[i] || n > r.Max[i] {
			return false
		}
	}
	return true
}

func text(shape []int64) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.FormatInt(n, 10)
	}
	return strings.Join(parts, "x")
}

// emit writes the profiles before and after, in the syntax that the user uses.
func (d *diagnosis) emit(tools []string) {
	if d.now == nil {
		return
	}
	d.out.Profiles = d.now
	d.out.Syntax = d.Syntax
	for i := 0; d.out.Syntax == "" && i < len(tools); i++ {
		d.out.Syntax = spoken[tools[i]]
	}
	if d.out.Syntax == "" {
		d.out.Syntax = syntax.Trtexec
	}
	before, err1 := syntax.Emit(d.out.Syntax, syntax.Input{Profiles: d.Profiles, Contract: d.Contract})
	after, err2 := syntax.Emit(d.out.Syntax, syntax.Input{Profiles: d.now, Contract: d.Contract})
	if err1 != nil || err2 != nil {
		first, _, _ := strings.Cut(firstOf(err1, err2).Error(), "\n") // of what is wrong with each input
		d.note("the profiles cannot be written as %s: %s", d.out.Syntax, first)
		return
	}
	if d.out.After = after; before != after {
		d.out.Before = before
	}
	if d.Contract != nil && len(d.Demand) > 0 {
		reach := profiles.Any
		if d.first {
			reach = profiles.First
		}
		if gaps := profiles.Check(d.Contract, d.now, d.Demand, reach); len(gaps) > 0 {
			d.note("of the workload's %d shapes the profiles below lack %d, the first %s; `trtforge profiles derive` makes profiles for all of it", len(d.Demand), len(gaps), gaps[0].Shape)
		} else {
			d.note("the profiles below hold all %d shapes of the workload", len(d.Demand))
		}
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
