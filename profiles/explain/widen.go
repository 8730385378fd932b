package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// widen makes profile i hold one more shape of an input, with the smallest change
// and jointly: what depends on the same quantity in other inputs changes with it,
// and a total stays past + sequence at both ends.
func (d *diagnosis) widen(i int, input string, shape []int64) {
	if d.now == nil {
		d.now = copied(d.Profiles)
	}
	if d.Contract == nil {
		d.widenAlone(&d.now[i], input, shape)
	} else if cause := widen(d.Contract, &d.now[i], input, shape); cause != "" {
		d.note("%s", cause)
	}
}

func copied(all []profiles.Profile) []profiles.Profile {
	out := slices.Clone(all)
	for i := range out {
		out[i].Inputs = slices.Clone(out[i].Inputs)
		for k, r := range out[i].Inputs {
			out[i].Inputs[k].Min, out[i].Inputs[k].Opt, out[i].Inputs[k].Max = slices.Clone(r.Min), slices.Clone(r.Opt), slices.Clone(r.Max)
		}
	}
	return out
}

// widenAlone changes the named input only: without a contract nobody knows which
// others share its sizes.
func (d *diagnosis) widenAlone(p *profiles.Profile, input string, shape []int64) {
	r := rangeOf(*p, input)
	if r == nil || len(r.Min) != len(shape) || len(r.Max) != len(shape) {
		d.note("the profiles have no range for %s with %d dimensions", input, len(shape))
		return
	}
	for k, n := range shape {
		r.Min[k], r.Max[k] = min(r.Min[k], n), max(r.Max[k], n)
	}
	d.note("only %s was changed: which inputs share its sizes is in the model's contract (--model)", input)
}

// span is the two ends that a quantity has in a profile.
type span struct{ lo, hi int64 }

func (s *span) take(n int64) { s.lo, s.hi = min(s.lo, n), max(s.hi, n) }

// widen does it by role. It returns why it could not, for a size that the graph
// fixes or an input that is not there.
func widen(c *contract.Contract, p *profiles.Profile, input string, shape []int64) string {
	at := slices.IndexFunc(c.Inputs, func(t contract.Tensor) bool { return t.Name == input })
	if at < 0 || len(c.Inputs[at].Dims) != len(shape) {
		return fmt.Sprintf("the model has no input %s of %d dimensions: the names in the log are another model's", input, len(shape))
	}
	spans := roleSpans(c, *p)
	for k, dim := range c.Inputs[at].Dims {
		if dim.Size > 0 && dim.Size != shape[k] {
			return fmt.Sprintf("the graph fixes dimension %d of %s at %d, and %d was asked: export it with that dimension dynamic; no profile can help", k, input, dim.Size, shape[k])
		}
	}
	for k, dim := range c.Inputs[at].Dims {
		switch {
		case dim.Size > 0 || dim.Role == contract.Static:
		case dim.Role == contract.Total:
			takeTotal(c, spans, shape[k])
		case dim.Role == contract.Free:
			if r := rangeOf(*p, input); r != nil && k < len(r.Min) && k < len(r.Max) {
				r.Min[k], r.Max[k] = min(r.Min[k], shape[k]), max(r.Max[k], shape[k])
			}
		case spans[dim.Role] != nil:
			spans[dim.Role].take(shape[k])
		}
	}
	spread(c, p, spans)
	return ""
}

// roleSpans are the quantities of a profile, each from the first input that has
// it.
func roleSpans(c *contract.Contract, p profiles.Profile) map[contract.Role]*span {
	spans := map[contract.Role]*span{}
	for _, t := range c.Inputs {
		r := rangeOf(p, t.Name)
		for k, dim := range t.Dims {
			if r == nil || k >= len(r.Min) || k >= len(r.Max) || spans[dim.Role] != nil || dim.Size > 0 {
				continue
			}
			spans[dim.Role] = &span{r.Min[k], r.Max[k]}
		}
	}
	return spans
}

// takeTotal widens past, or the sequence where there is no past, until past +
// sequence reach n.
func takeTotal(c *contract.Contract, spans map[contract.Role]*span, n int64) {
	seq, past := spans[contract.Seq], spans[contract.Past]
	switch {
	case seq == nil:
		if t := spans[contract.Total]; t != nil {
			t.take(n)
		}
		return
	case past == nil || !c.Cached():
		seq.take(n)
		return
	}
	past.hi += max(n-past.hi-seq.hi, 0)
	short := max(past.lo+seq.lo-n, 0)
	from := min(short, past.lo)
	past.lo -= from
	seq.lo = max(seq.lo-(short-from), 0)
}

// spread writes the quantities into every input. The optimum stays where it is:
// the ends only move apart. A total is past + sequence at all three.
func spread(c *contract.Contract, p *profiles.Profile, spans map[contract.Role]*span) {
	seq, past := spans[contract.Seq], spans[contract.Past]
	opt := opts(c, *p)
	for _, t := range c.Inputs {
		r := rangeOf(*p, t.Name)
		if r == nil || len(r.Min) != len(t.Dims) || len(r.Opt) != len(t.Dims) || len(r.Max) != len(t.Dims) {
			continue
		}
		for k, dim := range t.Dims {
			s := spans[dim.Role]
			switch {
			case dim.Size > 0 || s == nil || dim.Role == contract.Free || dim.Role == contract.Static:
			case dim.Role == contract.Total && seq != nil && past != nil:
				r.Min[k], r.Opt[k], r.Max[k] = past.lo+seq.lo, opt[contract.Past]+opt[contract.Seq], past.hi+seq.hi
			default:
				r.Min[k], r.Opt[k], r.Max[k] = s.lo, min(max(opt[dim.Role], s.lo), s.hi), s.hi
			}
		}
	}
	for role, of := range map[contract.Role]*profiles.Span{contract.Batch: &p.Batch, contract.Seq: &p.Seq, contract.Past: &p.Past} {
		if s := spans[role]; s != nil && *of != (profiles.Span{}) {
			of.Min, of.Max = int(s.lo), int(s.hi)
		}
	}
}

func opts(c *contract.Contract, p profiles.Profile) map[contract.Role]int64 {
	out := map[contract.Role]int64{}
	for _, t := range c.Inputs {
		r := rangeOf(p, t.Name)
		for k, dim := range t.Dims {
			if _, known := out[dim.Role]; r != nil && k < len(r.Opt) && dim.Size == 0 && !known {
				out[dim.Role] = r.Opt[k]
			}
		}
	}
	return out
}

// changed says which sizes of a profile moved; inputs that moved alike are one.
func changed(i int, before, after profiles.Profile) (all []string) {
	type move struct {
		end      string
		dim      int
		from, to int64
	}
	names := map[move][]string{}
	var order []move
	for k, r := range after.Inputs {
		old := before.Inputs[k]
		for e, ends := range [][2][]int64{{old.Min, r.Min}, {old.Opt, r.Opt}, {old.Max, r.Max}} {
			for dim := range ends[1] {
				m := move{[]string{"min", "opt", "max"}[e], dim, ends[0][dim], ends[1][dim]}
				if m.from == m.to {
					continue
				}
				if names[m] == nil {
					order = append(order, m)
				}
				names[m] = append(names[m], r.Input)
			}
		}
	}
	for _, m := range order {
		who := names[m][0]
		if n := len(names[m]); n > 1 {
			who = fmt.Sprintf("%s (and %d more)", who, n-1)
		}
		all = append(all, fmt.Sprintf("profile %d, %s dimension %d: %s %d becomes %d", i, who, m.dim, m.end, m.from, m.to))
	}
	return all
}

// profile explains profiles that a builder refused, by the rules that hold between
// the inputs: it says which are broken, and writes them joined where a mask that is
// not past + sequence is the cause.
func (d *diagnosis) profile() {
	if d.Contract == nil {
		return
	}
	d.strangers()
	err := profiles.Validate(d.Contract, d.Profiles)
	if err == nil {
		d.note("these profiles break no rule of this model: the builder was given others, or another model; give it these")
		d.now = d.Profiles
		return
	}
	for _, e := range unjoin(err) {
		d.note("%v", e)
	}
	now := copied(d.Profiles)
	for i := range now {
		spread(d.Contract, &now[i], roleSpans(d.Contract, now[i]))
		d.out.Changes = append(d.out.Changes, changed(i, d.Profiles[i], now[i])...)
	}
	if profiles.Validate(d.Contract, now) == nil && len(d.out.Changes) > 0 {
		d.now = now
		return
	}
	d.out.Changes = nil
	d.note("`trtforge profiles derive` makes profiles that keep these rules")
}

// strangers names what the message calls an input and the model does not have.
func (d *diagnosis) strangers() {
	for _, name := range strings.Split(d.f.Fields["input"]+", "+d.f.Fields["inputs"], ", ") {
		if name != "" && !slices.ContainsFunc(d.Contract.Inputs, func(t contract.Tensor) bool { return t.Name == name }) {
			d.note("%s is no input of this model: it is misspelt, or a tensor that crosses from one part of a split graph to another", name)
		}
	}
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
