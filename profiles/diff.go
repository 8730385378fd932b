package profiles

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Diff is how one list of profiles becomes another, by meaning: names, order of
// inputs and the text they came in do not count, the order of profiles does.
type Diff struct {
	Pairs   []Pair `json:"pairs"`            // by A
	OnlyA   []int  `json:"only_a,omitempty"` // profiles that nothing in B overlaps
	OnlyB   []int  `json:"only_b,omitempty"`
	Unknown int    `json:"unknown,omitempty"` // sizes that one side does not tell, and so were not compared
}

// Pair is a profile of A and what it is in B.
type Pair struct {
	A       int      `json:"a"`
	B       int      `json:"b"`
	Changes []Change `json:"changes,omitempty"`
}

// Change is one difference; Inputs are all those of which it is true.
type Change struct {
	What   string   `json:"what"` // min, opt, max, rank, or only_a and only_b of a whole input
	Inputs []string `json:"inputs"`
	Dim    int      `json:"dim"` // of min, opt and max
	From   int64    `json:"from"`
	To     int64    `json:"to"`
}

// String is the change in words.
func (c Change) String() string {
	inputs := c.Inputs[0]
	if n := len(c.Inputs); n > 1 {
		inputs = fmt.Sprintf("%s (and %d more)", inputs, n-1)
	}
	switch c.What {
	case "only_a":
		return inputs + " is gone"
	case "only_b":
		return inputs + " is new"
	case "rank":
		return fmt.Sprintf("%s has %d sizes instead of %d", inputs, c.To, c.From)
	}
	return fmt.Sprintf("%s dimension %d: %s %d becomes %d", inputs, c.Dim, c.What, c.From, c.To)
}

// Same tells whether nothing differs, not even the order.
func (d Diff) Same() bool {
	return len(d.OnlyA) == 0 && len(d.OnlyB) == 0 &&
		!slices.ContainsFunc(d.Pairs, func(p Pair) bool { return p.A != p.B || len(p.Changes) > 0 })
}

// Partial says which side comes from a source that tells dynamic dimensions only:
// there a size, or an input, that is missing is unknown rather than gone.
type Partial struct{ A, B bool }

// Compare matches profiles, equal ones first, then those that overlap most, and
// says what changes in each.
func Compare(a, b []Profile, partial Partial) Diff {
	var d Diff
	ra, rb := ranges(a), ranges(b)
	partner := match(a, b, ra, rb)
	taken := make([]bool, len(b))
	for i, j := range partner {
		if j < 0 {
			d.OnlyA = append(d.OnlyA, i)
			continue
		}
		taken[j] = true
		changes, unknown := changes(a[i], b[j], ra[i], rb[j], partial)
		d.Pairs = append(d.Pairs, Pair{A: i, B: j, Changes: changes})
		d.Unknown += unknown
	}
	for j, t := range taken {
		if !t {
			d.OnlyB = append(d.OnlyB, j)
		}
	}
	return d
}

// ranges is the ranges of each profile by input.
func ranges(all []Profile) []map[string]Range {
	by := make([]map[string]Range, len(all))
	for i, p := range all {
		by[i] = make(map[string]Range, len(p.Inputs))
		for _, r := range p.Inputs {
			by[i][r.Input] = r
		}
	}
	return by
}

// match gives each profile of a its partner in b, or -1. Greedy by overlap: lists
// that one would compare have few profiles, which overlap where they belong together.
func match(a, b []Profile, ra, rb []map[string]Range) []int {
	type candidate struct {
		i, j  int
		score float64
	}
	var all []candidate
	for i := range a {
		for j := range b {
			if s := overlap(ra[i], rb[j]); s > 0 {
				all = append(all, candidate{i, j, s})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(abs(x.i-x.j), abs(y.i-y.j)))
	})
	partner, taken := make([]int, len(a)), make([]bool, len(b))
	for i := range partner {
		partner[i] = -1
	}
	for _, c := range all {
		if partner[c.i] < 0 && !taken[c.j] {
			partner[c.i], taken[c.j] = c.j, true
		}
	}
	return partner
}

// overlap is between 0, nothing in common, and 2, equal: the mean over all sizes of
// the part of their ranges that both hold, and half a point for each end and opt that
// agree. Two profiles without a shape in common overlap if they are of the same inputs
// and some of their ranges meet.
func overlap(a, b map[string]Range) float64 {
	sum, n := 0.0, 0
	for name, x := range a {
		y, both := b[name]
		if !both || len(x.Max) == 0 || len(y.Max) == 0 {
			n++
			if both {
				sum += 2
			}
			continue
		}
		for k := range min(len(x.Max), len(y.Max)) {
			n++
			sum += meet(x, y, k)
		}
	}
	n += max(len(b)-len(a), 0)
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// meet is the overlap of two ranges in one dimension. An unknown one meets any.
func meet(x, y Range, k int) float64 {
	lo, hi := max(x.Min[k], y.Min[k]), min(x.Max[k], y.Max[k])
	if slices.Contains([]int64{x.Min[k], x.Max[k], y.Min[k], y.Max[k]}, Unknown) {
		return 1
	}
	all := max(x.Max[k], y.Max[k]) - min(x.Min[k], y.Min[k]) + 1
	score := 0.0
	if hi >= lo && all > 0 {
		score = float64(hi-lo+1) / float64(all)
	}
	for _, same := range []bool{x.Min[k] == y.Min[k], x.Opt[k] == y.Opt[k], x.Max[k] == y.Max[k]} {
		if same {
			score += 1.0 / 3
		}
	}
	return score
}

// changes is what differs between a profile and its partner, equal differences of
// several inputs once, in the order of a's inputs.
func changes(a, b Profile, ra, rb map[string]Range, partial Partial) (all []Change, unknown int) {
	at := map[string]int{}
	add := func(c Change) {
		key := fmt.Sprint(c.What, c.Dim, c.From, c.To)
		i, known := at[key]
		if !known {
			i = len(all)
			at[key] = i
			all = append(all, Change{What: c.What, Dim: c.Dim, From: c.From, To: c.To})
		}
		all[i].Inputs = append(all[i].Inputs, c.Inputs...)
	}
	for _, x := range a.Inputs {
		y, both := rb[x.Input]
		switch {
		case both:
			unknown += x.changes(y, partial, add)
		case partial.B && x.fixed():
			unknown += len(x.Min)
		default:
			add(Change{What: "only_a", Inputs: []string{x.Input}})
		}
	}
	for _, y := range b.Inputs {
		if _, both := ra[y.Input]; both {
			continue
		}
		if partial.A && y.fixed() {
			unknown += len(y.Min)
			continue
		}
		add(Change{What: "only_b", Inputs: []string{y.Input}})
	}
	return all, unknown
}

// fixed tells whether a range holds one shape.
func (r Range) fixed() bool { return slices.Equal(r.Min, r.Opt) && slices.Equal(r.Opt, r.Max) }

// changes adds what differs between two ranges of one input and counts what could
// not be compared.
func (r Range) changes(to Range, partial Partial, add func(Change)) (unknown int) {
	n, m := len(r.Min), len(to.Min)
	if n != m && (!partial.A || n > m) && (!partial.B || m > n) {
		add(Change{What: "rank", Inputs: []string{r.Input}, From: int64(n), To: int64(m)})
		return 0
	}
	unknown = max(n, m) - min(n, m)
	for i, what := range []string{"min", "opt", "max"} {
		x, y := [][]int64{r.Min, r.Opt, r.Max}[i], [][]int64{to.Min, to.Opt, to.Max}[i]
		for k := range min(len(x), len(y)) {
			switch {
			case x[k] == y[k]:
			case x[k] == Unknown || y[k] == Unknown:
				unknown++
			default:
				add(Change{What: what, Inputs: []string{r.Input}, Dim: k, From: x[k], To: y[k]})
			}
		}
	}
	return unknown
}

// Lines is the difference in lines of text, nothing where there is none.
func (d Diff) Lines() []string {
	var all []string
	for _, p := range d.Pairs {
		switch {
		case p.A != p.B:
			all = append(all, fmt.Sprintf("profile %d becomes profile %d", p.A, p.B))
		case len(p.Changes) > 0:
			all = append(all, fmt.Sprintf("profile %d", p.A))
		}
		for _, c := range p.Changes {
			all = append(all, "  "+c.String())
		}
	}
	for _, v := range []struct {
		which []int
		word  string
	}{{d.OnlyA, "gone"}, {d.OnlyB, "new"}} {
		for _, i := range v.which {
			all = append(all, strings.Join([]string{"profile", fmt.Sprint(i), "is", v.word}, " "))
		}
	}
	return all
}
