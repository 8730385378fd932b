package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/profiles"
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

// Emitters write profiles in the syntaxes that this room can write itself; the
// command line brings the others.
var Emitters = map[string]func([]profiles.Profile) (string, error){
	"ort": func(all []profiles.Profile) (string, error) { return options("trt_profile", all) },
	"rtx": func(all []profiles.Profile) (string, error) { return options("nv_profile", all) },
	"trtexec": func(all []profiles.Profile) (string, error) {
		args, err := profiles.EmitTrtexec(all)
		return strings.Join(args, "\n"), err
	},
}

func options(prefix string, all []profiles.Profile) (string, error) {
	t, err := profiles.EmitORT(all)
	return fmt.Sprintf("%s_min_shapes=%s\n%s_opt_shapes=%s\n%s_max_shapes=%s", prefix, t.Min, prefix, t.Opt, prefix, t.Max), err
}

// spoken is the syntax that each tool reads. A Triton model's engine was built by
// trtexec, most often.
var spoken = map[string]string{ORT: "ort", ORTRTX: "rtx", Trtexec: "trtexec", Polygraphy: "polygraphy", TensorRT: "trtexec", RTX: "trtexec", Triton: "trtexec"}

// apply adds a correction to a root that profiles at hand say more about. alike
// are all roots of its pattern, itself the first.
func (c Context) apply(f *Finding, alike []*Finding, tools []string) {
	if len(c.Profiles) == 0 || f.Class != Shape && f.Class != Profile {
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
	all := d.Emitters
	if all == nil {
		all = Emitters
	}
	d.out.Syntax = d.Syntax
	for i := 0; d.out.Syntax == "" && i < len(tools); i++ {
		d.out.Syntax = spoken[tools[i]]
	}
	if all[d.out.Syntax] == nil {
		d.out.Syntax = "trtexec"
	}
	write := all[d.out.Syntax]
	if write == nil {
		return
	}
	before, err1 := write(d.Profiles)
	after, err2 := write(d.now)
	if err1 != nil || err2 != nil {
		d.note("the profiles cannot be written as %s: %v", d.out.Syntax, firstOf(err1, err2))
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
