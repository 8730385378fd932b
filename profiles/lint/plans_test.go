package lint_test

import (
	"math/rand/v2"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// spans are a profile's sizes by what they are called.
type spans map[string][3]int64

func random(r *rand.Rand, least, most int64) [3]int64 {
	s := []int64{least + r.Int64N(most-least+1), least + r.Int64N(most-least+1), least + r.Int64N(most-least+1)}
	slices.Sort(s)
	return [3]int64(s)
}

// plan is one or two random profiles that keep every rule.
func (m model) plan(r *rand.Rand) []profiles.Profile {
	var all []profiles.Profile
	for range 1 + r.IntN(4)/3 {
		s := spans{"batch": random(r, 1, 4), "seq": random(r, 1, 8), "past": random(r, 0, 16), "n": random(r, 1, 9)}
		p := profiles.Profile{}
		for _, t := range m.graph.Inputs {
			p.Inputs = append(p.Inputs, m.fill(t, s))
		}
		all = append(all, p)
	}
	return all
}

func (m model) fill(t contract.Tensor, s spans) profiles.Range {
	r := profiles.Range{Input: t.Name}
	if slices.Contains(m.graph.ShapeInputs, t.Name) {
		n := s["n"]
		return profiles.Range{Input: t.Name, Values: true, Min: []int64{n[0], 4}, Opt: []int64{n[1], 4}, Max: []int64{n[2], 4}}
	}
	for _, dim := range m.meaning(t.Name).Dims {
		var size [3]int64
		switch {
		case dim.Size > 0:
			size = [3]int64{dim.Size, dim.Size, dim.Size}
		case dim.Role == contract.Batch || dim.Symbol == "batch":
			size = s["batch"]
		case dim.Role == contract.Seq || dim.Symbol == "sequence":
			size = s["seq"]
		case dim.Role == contract.Past:
			size = s["past"]
		case dim.Role == contract.Total:
			for i := range size {
				size[i] = s["past"][i] + s["seq"][i]
			}
		default:
			size = s["n"]
		}
		r.Min, r.Opt, r.Max = append(r.Min, size[0]), append(r.Opt, size[1]), append(r.Max, size[2])
	}
	return r
}

// meaning is what the contract, or else the graph, says of an input.
func (m model) meaning(input string) contract.Tensor {
	all := m.graph.Inputs
	if m.contract != nil {
		all = m.contract.Inputs
	}
	return all[slices.IndexFunc(all, func(t contract.Tensor) bool { return t.Name == input })]
}

// breakage spoils a profile in the way of a rule; false where it cannot.
type breakage struct {
	name  string
	spoil func(r *rand.Rand, m model, p *profiles.Profile) bool
}

// dims are the places of a profile that satisfy a condition: input and
// dimension.
func dims(m model, p *profiles.Profile, want func(t contract.Tensor, d contract.Dim, r profiles.Range) bool) (all [][2]int) {
	for i, r := range p.Inputs {
		if r.Values {
			continue
		}
		t := m.meaning(r.Input)
		for d, dim := range t.Dims {
			if want(t, dim, r) {
				all = append(all, [2]int{i, d})
			}
		}
	}
	return all
}

// anywhere changes one size at random among those of a condition.
func anywhere(want func(contract.Tensor, contract.Dim, profiles.Range) bool, change func(r *rand.Rand, lo, opt, hi *int64)) func(*rand.Rand, model, *profiles.Profile) bool {
	return func(r *rand.Rand, m model, p *profiles.Profile) bool {
		all := dims(m, p, want)
		if len(all) == 0 {
			return false
		}
		at := all[r.IntN(len(all))]
		x := &p.Inputs[at[0]]
		change(r, &x.Min[at[1]], &x.Opt[at[1]], &x.Max[at[1]])
		return true
	}
}

func varies(_ contract.Tensor, d contract.Dim, _ profiles.Range) bool { return d.Size == 0 }

func role(want contract.Role) func(contract.Tensor, contract.Dim, profiles.Range) bool {
	return func(_ contract.Tensor, d contract.Dim, _ profiles.Range) bool { return d.Size == 0 && d.Role == want }
}

// shift moves one of the three, and keeps min <= opt <= max.
func shift(r *rand.Rand, lo, opt, hi *int64) {
	by := 1 + r.Int64N(3)
	switch r.IntN(3) {
	case 0:
		*hi += by
	case 1:
		*lo, *opt, *hi = *lo+by, *opt+by, *hi+by
	default:
		*opt, *hi = *opt+by, *hi+by
	}
}

func input(r *rand.Rand, p *profiles.Profile) int { return r.IntN(len(p.Inputs)) }

var breakages = []breakage{
	{"unknown name", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		x := p.Inputs[input(r, p)]
		x.Input += "_"
		p.Inputs = append(p.Inputs, x)
		return true
	}},
	{"renamed", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		p.Inputs[input(r, p)].Input += "s"
		return true
	}},
	{"missing", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		i := input(r, p)
		p.Inputs = slices.Delete(p.Inputs, i, i+1)
		return true
	}},
	{"twice", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		p.Inputs = append(p.Inputs, p.Inputs[input(r, p)])
		return true
	}},
	{"partial", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		x := &p.Inputs[input(r, p)]
		[]func(){func() { x.Min = nil }, func() { x.Opt = nil }, func() { x.Max = nil }}[r.IntN(3)]()
		return true
	}},
	{"nothing at all", func(_ *rand.Rand, _ model, p *profiles.Profile) bool { p.Inputs = nil; return true }},
	{"beyond 32 bits", anywhere(varies, func(_ *rand.Rand, _, _, hi *int64) { *hi = 1 << 33 })},
	{"negative", anywhere(varies, func(_ *rand.Rand, lo, _, _ *int64) { *lo = -1 })},
	{"min above opt", anywhere(varies, func(_ *rand.Rand, lo, opt, _ *int64) { *lo = *opt + 1 })},
	{"opt above max", anywhere(varies, func(_ *rand.Rand, _, opt, hi *int64) { *opt = *hi + 1 })},
	{"too many sizes", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		x := &p.Inputs[input(r, p)]
		x.Min, x.Opt, x.Max = append(slices.Clone(x.Min), 1), append(slices.Clone(x.Opt), 1), append(slices.Clone(x.Max), 1)
		return true
	}},
	{"too few sizes", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		x := &p.Inputs[input(r, p)]
		n := len(x.Min) - 1
		x.Min, x.Opt, x.Max = x.Min[:n], x.Opt[:n], x.Max[:n]
		return true
	}},
	{"unequal ranks", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		x := &p.Inputs[input(r, p)]
		x.Max = append(slices.Clone(x.Max), 1)
		return true
	}},
	{"fixed at another", anywhere(func(_ contract.Tensor, d contract.Dim, _ profiles.Range) bool { return d.Size > 0 },
		func(_ *rand.Rand, lo, opt, hi *int64) { *lo, *opt, *hi = *lo+1, *opt+1, *hi+1 })},
	{"fixed made wide", anywhere(func(_ contract.Tensor, d contract.Dim, _ profiles.Range) bool { return d.Size > 0 },
		func(_ *rand.Rand, _, _, hi *int64) { *hi++ })},
	{"values as shape", func(_ *rand.Rand, _ model, p *profiles.Profile) bool {
		i := slices.IndexFunc(p.Inputs, func(x profiles.Range) bool { return x.Values })
		if i < 0 {
			return false
		}
		p.Inputs[i] = profiles.Range{Input: p.Inputs[i].Input, Min: []int64{2}, Opt: []int64{2}, Max: []int64{2}}
		return true
	}},
	{"shape as values", func(r *rand.Rand, _ model, p *profiles.Profile) bool {
		x := &p.Inputs[input(r, p)]
		old := x.Values
		x.Values = true
		return !old
	}},
	{"a value too few", func(_ *rand.Rand, _ model, p *profiles.Profile) bool {
		i := slices.IndexFunc(p.Inputs, func(x profiles.Range) bool { return x.Values })
		if i < 0 {
			return false
		}
		x := &p.Inputs[i]
		x.Min, x.Opt, x.Max = x.Min[:1], x.Opt[:1], x.Max[:1]
		return true
	}},
	{"values out of order", func(_ *rand.Rand, _ model, p *profiles.Profile) bool {
		i := slices.IndexFunc(p.Inputs, func(x profiles.Range) bool { return x.Values })
		if i < 0 {
			return false
		}
		p.Inputs[i].Min = []int64{p.Inputs[i].Opt[0] + 1, 4}
		return true
	}},
	{"mask", anywhere(role(contract.Total), shift)},
	{"batch", anywhere(role(contract.Batch), shift)},
	{"sequence", anywhere(role(contract.Seq), shift)},
	{"past", anywhere(role(contract.Past), shift)},
	{"shared name", anywhere(role(contract.Free), shift)},
	{"batch of 0", func(_ *rand.Rand, m model, p *profiles.Profile) bool {
		all := dims(m, p, func(_ contract.Tensor, d contract.Dim, _ profiles.Range) bool {
			return d.Size == 0 && (d.Role == contract.Batch || d.Symbol == "batch")
		})
		for _, at := range all {
			p.Inputs[at[0]].Min[at[1]] = 0
		}
		return len(all) > 0
	}},
}
