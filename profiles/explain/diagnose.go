package explain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// diagnosis holds one finding against the profiles at hand.
type diagnosis struct {
	Context
	f     *Finding
	first bool
	out   *Correction
	now   []profiles.Profile // corrected; nil = as they were
}

// note says something once, and at most maxNotes things: a decoder has dozens of
// inputs, and a decode loop fails at every length.
func (d *diagnosis) note(format string, args ...any) {
	switch n := fmt.Sprintf(format, args...); {
	case slices.Contains(d.out.Notes, n) || len(d.out.Notes) > maxNotes:
	case len(d.out.Notes) == maxNotes:
		d.out.Notes = append(d.out.Notes, "and more of the kind")
	default:
		d.out.Notes = append(d.out.Notes, n)
	}
}

const maxNotes = 8

// selected is the profile that the context was on: the one that the message names,
// or the first, on which every context begins.
func (d *diagnosis) selected() int {
	if n, err := strconv.Atoi(d.f.Fields["profile"]); err == nil && n >= 0 && n < len(d.Profiles) {
		return n
	}
	return 0
}

// shape explains a shape that was refused at run time. Three things look alike
// and are not: no profile holds the shape; another profile holds it than the one
// that was selected; the engine was built from other profiles than these.
//
// The same cause with other shapes, as of a decode loop that fails at every
// length, is answered in one: the correction holds them all.
func (d *diagnosis) shape(alike []*Finding) {
	first := d.f
	for _, f := range alike {
		d.f = f
		d.one()
	}
	d.f = first
	d.settle()
}

func (d *diagnosis) one() {
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

// settle says what was changed in all, if anything.
func (d *diagnosis) settle() {
	for i := range d.now {
		d.out.Changes = append(d.out.Changes, changed(i, d.Profiles[i], d.now[i])...)
	}
	if len(d.out.Changes) == 0 {
		d.now = nil
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
	holder := 0
	selected := d.selected()
	for i, p := range d.Profiles {
		if r := rangeOf(p, input); holds(r, q.of(r)) {
			if i == selected {
				d.note("profile %d, which was selected, holds %s %s: the engine is not built from these profiles, it is stale; delete it and its cache and build again", i, input, q.words)
				return
			}
			if len(in) == 0 {
				holder = i
			}
			in = append(in, strconv.Itoa(i))
		}
	}
	if len(in) == 0 {
		i := d.nearest(input, q)
		r := rangeOf(d.Profiles[i], input)
		if r != nil && !d.f.several() {
			d.f.nobody(q.words, q.of(r), listed{i, r.Min, r.Max})
		}
		d.widen(i, input, q.of(r))
		return
	}
	d.note("%s %s lies inside profile %s; the selected profile %d does not hold it: the profiles are right, the selection is not", input, q.words, strings.Join(in, " and "), selected)
	if d.first {
		d.note("ONNX Runtime's TensorRT provider stays on profile 0, so profile 0 has to hold every shape")
		d.widen(0, input, q.of(rangeOf(d.Profiles[0], input)))
		return
	}
	d.f.elsewhere(q.words, holder)
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
		if n, _ := steps(shape, r.Min, r.Max); least < 0 || n < least {
			best, least = i, n
		}
	}
	return best
}

// stale compares the ranges that the message gives for profiles with theirs:
// where they differ, the engine was built from others.
func (d *diagnosis) stale(input string) bool {
	for _, l := range d.f.ranges() {
		if l.profile >= len(d.Profiles) {
			d.note("the engine has a profile %d, these are %d profiles: the engine was built from others and is stale; delete it and its cache and build again", l.profile, len(d.Profiles))
			return true
		}
		r := rangeOf(d.Profiles[l.profile], input)
		if r == nil || slices.Equal(l.min, r.Min) && slices.Equal(l.max, r.Max) {
			continue
		}
		d.note("the engine's profile %d takes %s from %s to %s, these profiles say %s to %s: the engine was built from others and is stale; delete it and its cache and build again",
			l.profile, input, text(l.min), text(l.max), text(r.Min), text(r.Max))
		return true
	}
	return false
}

// static explains an axis that the engine holds fixed.
func (d *diagnosis) static() bool {
	if !slices.Contains(statics, d.f.ID) {
		return false
	}
	input := d.f.Fields["input"]
	axis, err := strconv.Atoi(d.f.Fields["axis"])
	var r *profiles.Range
	if len(d.Profiles) > 0 {
		r = rangeOf(d.Profiles[d.selected()], input)
	}
	if err == nil && d.fixed(input, axis) {
		return true
	}
	if err == nil && r != nil && axis < len(r.Min) && axis < len(r.Max) && r.Min[axis] < r.Max[axis] {
		d.note("these profiles let dimension %d of %s vary from %d to %d, the engine does not: it is a stale engine, built from another export or before these profiles; delete it and its cache and build again", axis, input, r.Min[axis], r.Max[axis])
		return true
	}
	d.note("a profile cannot vary what the engine holds fixed: either the array is of another model, or the axis was exported static, or the engine is stale and was built from another export than these profiles are for, or the array is of another model")
	return true
}
