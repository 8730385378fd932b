package profiles

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// bruteForce tries every division of n bins into k buckets.
func bruteForce(n, k int, cost func(i, j int) float64) float64 {
	if k == 1 {
		return cost(0, n-1)
	}
	best := math.Inf(1)
	var try func(from, k int, sum float64)
	try = func(from, k int, sum float64) {
		if k == 1 {
			best = min(best, sum+cost(from, n-1))
			return
		}
		for end := from; end <= n-k; end++ {
			try(end+1, k-1, sum+cost(from, end))
		}
	}
	try(0, k, 0)
	return best
}

// random lengths with gaps, of very different weights.
func randomGroup(r *rand.Rand, n int) group {
	g := group{name: "prefill", key: bySeq}
	at := 0
	for range n {
		at += 1 + r.IntN(30)*r.IntN(2)
		g.shapes = append(g.shapes, Shape{Phase: Prefill, Batch: 1 + r.IntN(3), Seq: at, Count: math.Exp(4 * r.NormFloat64())})
	}
	return g
}

// The table finds what trying everything finds, and its cost is that of the
// profiles that come out: the model prices the plan and not only the table.
func TestBucketsAreTheBestOfAll(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 11))
		g := randomGroup(r, 1+r.IntN(12))
		prices := Costs{Opt: r.Float64(), Max: r.Float64(), Profile: r.Float64() * 3, GiB: r.Float64() * 1e6}
		d := &deriver{c: cached(), o: Options{Costs: &prices}, demand: g.shapes}
		passes := Passes(g.shapes)
		l := g.lay()
		cost := d.bucketCost(g, l, passes)
		costs, ends := partition(l.len(), 6, cost)
		for k := range costs {
			want := bruteForce(l.len(), k+1, cost)
			if math.Abs(costs[k]-want) > 1e-9*want {
				t.Errorf("seed %d: %d buckets cost %g, the best %g", seed, k+1, costs[k], want)
			}
			sum, from := 0.0, 0
			for _, end := range ends[k] {
				sum += cost(from, end)
				from = end + 1
			}
			if from != l.len() || math.Abs(sum-costs[k]) > 1e-9*sum {
				t.Errorf("seed %d: buckets end at %v and cost %g, not %g", seed, ends[k], sum, costs[k])
			}
		}
		if t.Failed() {
			t.Fatalf("%+v", g.shapes)
		}
		tokens := d
		tokens.o.Costs = &Costs{Opt: prices.Opt, Max: prices.Max, Profile: prices.Profile}
		all := tokens.buckets([]group{g}, 6)
		blocks, serving := Replay(d.c, all, g.shapes, Any)
		got := Evaluate(d.c, all, blocks, serving, *tokens.o.Costs, 0).Total
		least := math.Inf(1)
		for k := range min(6, l.len()) {
			least = min(least, bruteForce(l.len(), k+1, tokens.bucketCost(g, l, passes)))
		}
		if math.Abs(got-least) > 1e-9*least {
			t.Fatalf("seed %d: the plan costs %g, the best %g", seed, got, least)
		}
	}
}

// How many buckets each phase gets is the best share too.
func TestBucketsAreSharedBestAmongPhases(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 12))
		w := workload(r)
		w.Mode = Cached
		if r.IntN(2) == 0 {
			w.Chunk = 4 + r.IntN(20)
		}
		most := 3 + r.IntN(5)
		d := &deriver{c: cached(), o: Options{Costs: &Costs{Opt: 1, Max: 0.1, Past: 0.5, Profile: 0.3}}, demand: Demand(w)}
		groups := groups(d.demand)
		var curves [][]float64
		for _, g := range groups {
			l := g.lay()
			costs, _ := partition(l.len(), most, d.bucketCost(g, l, Passes(d.demand)))
			curves = append(curves, costs)
		}
		best := math.Inf(1)
		var try func(i, used int, sum float64)
		try = func(i, used int, sum float64) {
			if i == len(curves) {
				best = min(best, sum)
				return
			}
			for k, c := range curves[i] {
				if used+k+1 <= most {
					try(i+1, used+k+1, sum+c)
				}
			}
		}
		try(0, 0, 0)
		d.o.MaxProfiles = most
		all, err := d.bucketed()
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, p := range all {
			i := slices.IndexFunc(groups, func(g group) bool { return len(p.Name) >= len(g.name) && p.Name[:len(g.name)] == g.name })
			l := groups[i].lay()
			at := func(bins []int, v int) int { n, _ := slices.BinarySearch(bins, v); return n }
			lo, hi := groups[i].key(Shape{Seq: p.Seq.Min, Past: p.Past.Min}), groups[i].key(Shape{Seq: p.Seq.Max, Past: p.Past.Max})
			sum += d.bucketCost(groups[i], l, Passes(d.demand))(at(l.lo, lo), at(l.hi, hi))
		}
		if len(all) > most || math.Abs(sum-best) > 1e-9*best {
			t.Fatalf("seed %d: %d profiles of %d cost %g, the best %g", seed, len(all), most, sum, best)
		}
	}
}

// Where lengths are very many, neighbours are taken together: every length is in
// a bucket still, and the cost is close to the best.
func TestVeryManyLengths(t *testing.T) {
	r := NewRequests("many")
	for n := 1; n <= 40000; n++ {
		if err := r.Add(n, 1+n%500, int64(1+n%7)); err != nil {
			t.Fatal(err)
		}
	}
	w := Workload{Requests: []*Requests{r}}
	p, err := Derive(cached(), w, Options{Strategy: "bucketed", MaxProfiles: 8})
	if err != nil {
		t.Fatal(err)
	}
	if gaps := Check(cached(), p.Profiles, Demand(w), Any); len(gaps) > 0 || len(p.Profiles) != 8 {
		t.Errorf("%d profiles, gaps %v", len(p.Profiles), gaps)
	}
}

// The median by stretches is that of a list of all passes.
func TestMedianOfBlocks(t *testing.T) {
	for seed := range uint64(300) {
		w, _ := anyWorkload(rand.New(rand.NewPCG(seed, 13)))
		demand := Demand(w)
		type one struct {
			at     int
			passes float64
		}
		for name, of := range map[string]func(Shape) int{"batch": func(s Shape) int { return s.Batch }, "seq": bySeq, "past": byPast} {
			var all []one
			total := 0.0
			for s := range Each(demand) {
				all = append(all, one{of(s), s.Count})
				total += s.Count
			}
			slices.SortStableFunc(all, func(a, b one) int { return a.at - b.at })
			got := extent(demand, of)
			below, upTo := 0.0, 0.0
			for _, o := range all {
				if o.at < got.Opt {
					below += o.passes
				}
				if o.at <= got.Opt {
					upTo += o.passes
				}
			}
			if below > total/2*(1+1e-9) || upTo < total/2*(1-1e-9) || got.Min != all[0].at || got.Max != all[len(all)-1].at {
				t.Fatalf("seed %d: %s is %+v: %g of %g below, %g up to it", seed, name, got, below, total, upTo)
			}
		}
	}
}

// Tokens wasted by blocks are those of their shapes.
func TestWasteOfBlocks(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 14))
		w, _ := anyWorkload(r)
		p := Profile{Seq: Span{0, r.IntN(60), 60 + r.IntN(60)}, Past: Span{0, r.IntN(60), 60 + r.IntN(60)}}
		for _, s := range Demand(w) {
			var opt, most Waste
			for x := range Each([]Shape{s}) {
				opt.add(Waste{x.Count * float64(abs(x.Seq-p.Seq.Opt)), x.Count * float64(abs(x.Past-p.Past.Opt))})
				most.add(Waste{x.Count * float64(abs(x.Seq-p.Seq.Max)), x.Count * float64(abs(x.Past-p.Past.Max))})
			}
			a, b := wasted(p, s)
			for _, v := range [][2]float64{{a.Seq, opt.Seq}, {a.Past, opt.Past}, {b.Seq, most.Seq}, {b.Past, most.Past}} {
				if math.Abs(v[0]-v[1]) > 1e-9*v[1] {
					t.Fatalf("seed %d: %s from %+v: %+v and %+v, want %+v and %+v", seed, s, p, a, b, opt, most)
				}
			}
		}
	}
}
