package profiles

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// defaultBuckets is the most profiles of bucketed and static-kv where no limit
// is given, maxBuckets where one is; maxStatic of static.
const (
	defaultBuckets = 8
	maxBuckets     = 256
	maxStatic      = 4096
)

// most is the most profiles of bucketed and static-kv.
func (d *deriver) most() int {
	if d.o.MaxProfiles == 0 {
		return defaultBuckets
	}
	return min(d.o.MaxProfiles, maxBuckets)
}

// choose makes the profiles of the strategy that was asked for.
func (d *deriver) choose() (string, []Profile, error) {
	if !slices.Contains(Strategies, d.o.Strategy) {
		return "", nil, fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("strategy %q", d.o.Strategy), "want "+strings.Join(Strategies, ", "))
	}
	if d.o.MaxProfiles < 0 {
		return "", nil, fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("at most %d profiles", d.o.MaxProfiles), "want 1 or more, or 0 for no limit")
	}
	if !slices.Contains([]string{"", "decode", "prefill", "median"}, d.o.Opt) {
		return "", nil, fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("optimum on %q", d.o.Opt), "want decode, prefill or median")
	}
	if d.o.Strategy == "auto" {
		return d.auto()
	}
	all, err := d.make(d.o.Strategy)
	return d.o.Strategy, all, err
}

// make makes the profiles of a strategy, or says why it cannot.
func (d *deriver) make(strategy string) ([]Profile, error) {
	var all []Profile
	var err error
	switch strategy {
	case "wide":
		all = []Profile{d.wide()}
	case "phase":
		all = d.phases()
	case "bucketed":
		all, err = d.bucketed()
	case "static":
		all, err = d.static()
	case "static-kv":
		all, err = d.staticKV()
	}
	if err != nil {
		return nil, err
	}
	most := d.o.MaxProfiles
	if d.o.Reach == First {
		most = 1
	}
	if n := len(all); most > 0 && n > most {
		cause := fmt.Sprintf("strategy %s needs %s, and only %d are allowed", strategy, counted(n), most)
		if most == 1 {
			cause = fmt.Sprintf("strategy %s needs %s, and only the first can be reached", strategy, counted(n))
		}
		return nil, fault.New(fault.Usage, "deriving profiles", "", cause, `use strategy "wide"`)
	}
	return all, d.positions(strategy, all)
}

func counted(n int) string {
	if n == 2 {
		return "two profiles"
	}
	return fmt.Sprintf("%d profiles", n)
}

// positions refuses profiles whose largest pass would read beyond the table of
// positions. Without such a table n_positions bounds the requests and not the
// corner of a profile, which no request need reach.
func (d *deriver) positions(strategy string, all []Profile) error {
	if !d.c.PositionsTable || d.c.MaxPositions <= 0 {
		return nil
	}
	for _, p := range all {
		if n := d.c.MaxPositions; p.Past.Max+p.Seq.Max > n {
			return fault.New(fault.Usage, "deriving profiles", "strategy "+strategy,
				fmt.Sprintf("profile %s would reach position %d at its maximum (past %d and %d tokens), and the graph slices a table of %d: past could be %d at most, and the demand needs %d",
					p.Name, p.Past.Max+p.Seq.Max, p.Past.Max, p.Seq.Max, n, n-p.Seq.Max, p.Past.Max),
				"use a strategy that keeps long prompts and long pasts apart (phase, bucketed), or a shorter workload")
		}
	}
	return nil
}

// auto is the cheapest strategy that the graph and the runtime allow; of equal
// ones the simplest.
func (d *deriver) auto() (string, []Profile, error) {
	candidates := []string{"wide"}
	if buffered(d.c) {
		if all, err := d.make("static-kv"); err == nil {
			return "static-kv", all, nil
		}
	}
	if d.o.Reach != First && d.o.MaxProfiles != 1 {
		if slices.ContainsFunc(d.demand, func(s Shape) bool { return s.Phase == Decode }) {
			candidates = append(candidates, "phase")
		}
		if d.o.MaxProfiles > 2 {
			candidates = append(candidates, "bucketed")
		}
	}
	var name string
	var best []Profile
	var least float64
	var first error
	for _, strategy := range candidates {
		all, err := d.make(strategy)
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		blocks, serving := Replay(d.c, all, d.demand, d.o.Reach)
		if cost := Evaluate(d.c, all, blocks, serving, *d.o.Costs, d.o.WeightBytes).Total; best == nil || cost < least {
			name, best, least = strategy, all, cost
		}
	}
	if best == nil {
		return "", nil, first
	}
	return name, best, nil
}

// wide is one profile around all shapes. Its minimum is the smallest corner
// and its maximum the largest; n_positions bounds the demand, not that corner.
func (d *deriver) wide() Profile {
	p := around(d.demand)
	opt := p
	if d.o.Opt != "median" {
		if some := slices.DeleteFunc(slices.Clone(d.demand), func(s Shape) bool { return (s.Phase == Decode) == (d.o.Opt == "prefill") }); len(some) > 0 {
			opt = around(some)
		}
	}
	p.Name, p.Batch.Opt, p.Seq.Opt, p.Past.Opt = "wide", opt.Batch.Opt, opt.Seq.Opt, opt.Past.Opt
	return d.with(p)
}

// phases is a profile for passes over prompts and one for decode, which comes
// first where prompts are taken in chunks: see groups.
func (d *deriver) phases() []Profile {
	var first, later []Shape
	for _, s := range d.demand {
		if s.Phase == Decode {
			later = append(later, s)
		} else {
			first = append(first, s)
		}
	}
	p := around(first)
	p.Name = "prefill"
	all := []Profile{d.with(p)}
	if len(later) > 0 {
		p := around(later)
		p.Name = "decode"
		all = append(all, d.with(p))
		if slices.ContainsFunc(first, func(s Shape) bool { return s.Phase == ChunkedPrefill }) {
			slices.Reverse(all)
		}
	}
	return all
}

// bucketed divides each phase by length. How many buckets each phase gets is
// part of the choice.
func (d *deriver) bucketed() ([]Profile, error) {
	most := d.most()
	all := groups(d.demand)
	if len(all) > most {
		return nil, fault.New(fault.Usage, "deriving profiles", "", fmt.Sprintf("the demand has %d phases, and only %d profiles are allowed", len(all), most), `use strategy "wide"`)
	}
	return d.buckets(all, most), nil
}

// buckets divides groups into at most so many profiles in all.
func (d *deriver) buckets(all []group, most int) []Profile {
	passes := Passes(d.demand)
	type choice struct {
		costs []float64
		ends  [][]int
		line  line
	}
	choices := make([]choice, len(all))
	for i, g := range all {
		l := g.lay()
		costs, ends := partition(l.len(), most-len(all)+1, d.bucketCost(g, l, passes))
		choices[i] = choice{costs, ends, l}
	}
	// The best share of the profiles: a table over groups and profiles used.
	type cell struct {
		cost float64
		take []int
	}
	best := map[int]cell{0: {}}
	for _, ch := range choices {
		next := map[int]cell{}
		for used, c := range best {
			for k, cost := range ch.costs {
				n := used + k + 1
				if old, ok := next[n]; n <= most && (!ok || c.cost+cost < old.cost) {
					next[n] = cell{c.cost + cost, append(slices.Clone(c.take), k)}
				}
			}
		}
		best = next
	}
	var chosen *cell
	for n := range most + 1 {
		if c, ok := best[n]; ok && (chosen == nil || c.cost < chosen.cost-1e-9) {
			chosen = &c
		}
	}
	var out []Profile
	for i, g := range all {
		from := 0
		for _, end := range choices[i].ends[chosen.take[i]] {
			l := choices[i].line
			p := around(g.between(l.lo[from], l.hi[end]))
			p.Name = g.name
			if chosen.take[i] > 0 {
				p.Name = fmt.Sprintf("%s-%d", g.name, l.hi[end])
			}
			out, from = append(out, d.with(p)), end+1
		}
	}
	return out
}

// bucketCost is the price of a bucket of bins i to j: tokens wasted a pass, one
// profile, and memory at its largest length and the largest batch of the group.
func (d *deriver) bucketCost(g group, l line, passes float64) func(i, j int) float64 {
	prices := *d.o.Costs
	hull := around(g.shapes)
	memory := make([]float64, l.len())
	token := 1.0
	for j := range memory {
		p := hull
		if g.key(Shape{Seq: 1}) == 1 { // by seq
			p.Seq.Max = l.hi[j]
		} else {
			p.Past.Max, token = l.hi[j], prices.Past
		}
		memory[j] = float64(d.memory(p)) / (1 << 30)
	}
	return func(i, j int) float64 {
		opt, most := l.waste(i, j)
		return token*(prices.Opt*opt+prices.Max*most)/passes + prices.Profile + prices.GiB*memory[j]
	}
}

// memory is that of a profile whose inputs are not filled in.
func (d *deriver) memory(p Profile) int64 { return Memory(d.c, d.with(p)).Total() }

// merge leaves out profiles whose inputs have the ranges of an earlier one, which
// then serves what both do.
func merge(all []Profile) (out []Profile) {
	for _, p := range all {
		i := slices.IndexFunc(out, func(o Profile) bool { return slices.EqualFunc(o.Inputs, p.Inputs, sameRange) })
		if i < 0 {
			out = append(out, p)
			continue
		}
		o := &out[i]
		o.Name += "-" + p.Name
		o.Past.Min, o.Past.Max = min(o.Past.Min, p.Past.Min), max(o.Past.Max, p.Past.Max)
	}
	return out
}

func sameRange(a, b Range) bool {
	return a.Input == b.Input && a.Values == b.Values && slices.Equal(a.Min, b.Min) && slices.Equal(a.Opt, b.Opt) && slices.Equal(a.Max, b.Max)
}

// batchSizes are the distinct batch sizes of blocks; none where they are more
// than most.
func batchSizes(blocks []Shape, most int) []int {
	var all []int
	for _, s := range blocks {
		if s.batches() > most {
			return nil
		}
		for b := range s.batches() {
			if !slices.Contains(all, s.Batch+b) {
				all = append(all, s.Batch+b)
			}
		}
		if len(all) > most {
			return nil
		}
	}
	slices.Sort(all)
	return all
}

// atBatch is the part of blocks that is of one batch size.
func atBatch(blocks []Shape, batch int) (all []Shape) {
	for _, s := range blocks {
		if i := batch - s.Batch; i >= 0 && i < s.batches() {
			all = append(all, s.part(i, i+1, 0, s.run()))
		}
	}
	return all
}
