package explain

import (
	"fmt"
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

// apply adds a correction to a root that profiles at hand say more about.
func (c Context) apply(f *Finding, tools []string) {
	if !f.Root || len(c.Profiles) == 0 || f.Class != Shape && f.Class != Profile {
		return
	}
	d := &diagnosis{Context: c, f: f, first: onlyFirst(tools), out: &Correction{}}
	if f.Class == Shape {
		d.shape()
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

// diagnosis holds one finding against the profiles at hand.
type diagnosis struct {
	Context
	f     *Finding
	first bool
	out   *Correction
	now   []profiles.Profile // corrected; nil = as they were
}

func (d *diagnosis) note(format string, args ...any) {
	d.out.Notes = append(d.out.Notes, fmt.Sprintf(format, args...))
}

// selected is the profile that the context was on: the one that the message names,
// or the first, on which every context begins.
func (d *diagnosis) selected() int {
	if n, err := strconv.Atoi(d.f.Fields["profile"]); err == nil && n >= 0 && n < len(d.Profiles) {
		return n
	}
	return 0
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

// shape explains a shape that was refused at run time. Three things look alike
// and are not: no profile holds the shape; another profile holds it than the one
// that was selected; the engine was built from other profiles than these.
func (d *diagnosis) shape() {
	input := d.f.Fields["input"]
	switch asked := d.shapes(); {
	case d.static():
	case !d.f.pattern.Asks:
	case len(asked) == 0:
		if n := len(d.Profiles); n > 1 {
			d.note("there are %d profiles and a context begins on profile 0: a shape that only another holds is refused until that one is selected", n)
		}
	case d.stale(input):
	default:
		for _, q := range asked {
			d.asked(input, q)
		}
	}
}

// question is a shape that was asked of an input: the words for it, and the shape
// in the terms of each profile. A message that gives one size only says nothing of
// the others, which are then each profile's own.
type question struct {
	words string
	of    func(r *profiles.Range) []int64
}

func (d *diagnosis) shapes() (all []question) {
	f := d.f.Fields
	if f["input"] == "" {
		return nil
	}
	for _, text := range strings.Split(f["dims"], "/") {
		if shape := parseShape(text); shape != nil {
			all = append(all, question{text, func(*profiles.Range) []int64 { return shape }})
		}
	}
	axis, err1 := strconv.Atoi(f["axis"])
	size, err2 := strconv.ParseInt(f["size"], 10, 64)
	if len(all) > 0 || err1 != nil || err2 != nil {
		return all
	}
	return []question{{fmt.Sprintf("dimension %d of %d", axis, size), func(r *profiles.Range) []int64 {
		if r == nil || axis < 0 || axis >= len(r.Min) {
			return nil
		}
		shape := slices.Clone(r.Min)
		shape[axis] = size
		return shape
	}}}
}

// asked finds who holds a shape that was asked, and widens where nobody does.
func (d *diagnosis) asked(input string, q question) {
	var in []string
	selected := d.selected()
	for i, p := range d.Profiles {
		if r := rangeOf(p, input); holds(r, q.of(r)) {
			if i == selected {
				d.note("profile %d, which was selected, holds %s %s: the engine is not built from these profiles, it is stale; delete it and its cache and build again", i, input, q.words)
				return
			}
			in = append(in, strconv.Itoa(i))
		}
	}
	if len(in) == 0 {
		i := d.nearest(input, q)
		d.widen(i, input, q.of(rangeOf(d.Profiles[i], input)))
		return
	}
	d.note("%s %s lies inside profile %s; the selected profile %d does not hold it: the profiles are right, the selection is not", input, q.words, strings.Join(in, " and "), selected)
	if d.first {
		d.note("ONNX Runtime's TensorRT provider stays on profile 0, so profile 0 has to hold every shape")
		d.widen(0, input, q.of(rangeOf(d.Profiles[0], input)))
		return
	}
	d.note("select profile %s before setting shapes (setOptimizationProfileAsync, trtexec --useProfile=%s), or keep one context for each profile", in[0], in[0])
}

// nearest is the profile with the fewest steps to go; the selected one where the
// runtime reaches no other, or nothing is known of the input.
func (d *diagnosis) nearest(input string, q question) int {
	best, least := d.selected(), int64(-1)
	if d.first {
		return 0
	}
	for i, p := range d.Profiles {
		r := rangeOf(p, input)
		shape := q.of(r)
		if r == nil || shape == nil || len(r.Min) != len(shape) || len(r.Max) != len(shape) {
			continue
		}
		steps := int64(0)
		for k, n := range shape {
			steps += max(r.Min[k]-n, n-r.Max[k], 0)
		}
		if least < 0 || steps < least {
			best, least = i, steps
		}
	}
	return best
}

// stale compares the range that the message gives for a profile with that
// profile's range: where they differ, the engine was built from others.
func (d *diagnosis) stale(input string) bool {
	lo, hi := parseShape(d.f.Fields["min"]), parseShape(d.f.Fields["max"])
	r := rangeOf(d.Profiles[d.selected()], input)
	if lo == nil || hi == nil || r == nil || slices.Equal(lo, r.Min) && slices.Equal(hi, r.Max) {
		return false
	}
	d.note("the engine's profile %d takes %s from %s to %s, these profiles say %s to %s: the engine was built from others and is stale; delete it and its cache and build again",
		d.selected(), input, d.f.Fields["min"], d.f.Fields["max"], text(r.Min), text(r.Max))
	return true
}

// static explains an axis that the engine holds fixed.
func (d *diagnosis) static() bool {
	if !slices.Contains([]string{"shape-static-mismatch", "trtexec-static-shapes", "ort-invalid-dimensions"}, d.f.ID) {
		return false
	}
	input := d.f.Fields["input"]
	axis, err := strconv.Atoi(d.f.Fields["axis"])
	r := rangeOf(d.Profiles[d.selected()], input)
	if err == nil && d.Contract != nil {
		for _, t := range d.Contract.Inputs {
			if t.Name == input && axis < len(t.Dims) && t.Dims[axis].Size > 0 {
				d.note("the graph fixes dimension %d of %s at %d: export it with that dimension dynamic; no profile can help", axis, input, t.Dims[axis].Size)
				return true
			}
		}
	}
	if err == nil && r != nil && axis < len(r.Min) && axis < len(r.Max) && r.Min[axis] < r.Max[axis] {
		d.note("these profiles let dimension %d of %s vary from %d to %d, the engine does not: it is a stale engine, built from another export or before these profiles; delete it and its cache and build again", axis, input, r.Min[axis], r.Max[axis])
		return true
	}
	d.note("a profile cannot vary what the engine holds fixed: either the axis was exported static, or the engine is stale and was built from another export than these profiles are for")
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
