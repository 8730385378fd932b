package profiles

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

func TestDemand(t *testing.T) {
	w := Workload{Mode: Cached, Scenarios: []Scenario{
		{Name: "a", Batch: 2, PromptTokens: 5, NewTokens: 3, Weight: 4},
		{Name: "b", Batch: 2, PromptTokens: 6, NewTokens: 1}, // its prefill gives the only token
		{Name: "c", Batch: 1, PromptTokens: 5},               // a score of the prompt
	}}
	want := []Shape{
		{Phase: Prefill, Batch: 1, Seq: 5, Count: 1}, {Phase: Prefill, Batch: 2, Seq: 5, Count: 4}, {Phase: Prefill, Batch: 2, Seq: 6, Count: 1},
		{Phase: Decode, Batch: 2, Seq: 1, Past: 5, Count: 4, Run: 2},
	}
	if d := cmp.Diff(want, Demand(w)); d != "" {
		t.Errorf("cached:\n%s", d)
	}
	w.Mode = ""
	if d := cmp.Diff(want, Demand(w)); d != "" {
		t.Errorf("no mode is not cached:\n%s", d)
	}
	w.Mode, w.FeedLast = Both, true
	slices.Reverse(w.Scenarios)
	want = []Shape{
		{Phase: Prefill, Batch: 1, Seq: 5, Count: 1}, {Phase: Prefill, Batch: 2, Seq: 5, Count: 4}, {Phase: Prefill, Batch: 2, Seq: 6, Count: 1},
		{Phase: Decode, Batch: 2, Seq: 1, Past: 5, Count: 4}, {Phase: Decode, Batch: 2, Seq: 1, Past: 6, Count: 5}, {Phase: Decode, Batch: 2, Seq: 1, Past: 7, Count: 4},
		{Phase: UncachedDecode, Batch: 2, Seq: 6, Count: 4}, {Phase: UncachedDecode, Batch: 2, Seq: 7, Count: 5}, {Phase: UncachedDecode, Batch: 2, Seq: 8, Count: 4},
	}
	if d := cmp.Diff(want, Demand(w)); d != "" {
		t.Errorf("both, with the last token fed:\n%s", d)
	}
}

// workload is a random one; small sizes, so that ends often meet.
func workload(r *rand.Rand) Workload {
	w := Workload{Mode: []Mode{Cached, Uncached, Both}[r.IntN(3)], FeedLast: r.IntN(2) == 0}
	for range 1 + r.IntN(5) {
		w.Scenarios = append(w.Scenarios, Scenario{
			Batch: 1 + r.IntN(8), PromptTokens: 1 + r.IntN(60), NewTokens: r.IntN(20), Weight: float64(r.IntN(4)),
		})
	}
	return w
}

func TestEveryPlanHoldsItsDemandAndNoMore(t *testing.T) {
	plans := 0
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 0))
		w, _ := anyWorkload(r)
		demand := Demand(w)
		for n, o := range []Options{
			{Strategy: "wide", Reach: First}, {Strategy: "phase"}, {Strategy: "auto"}, {Strategy: "auto", Reach: First}, {Strategy: "auto", MaxProfiles: 6},
			{Strategy: "bucketed"}, {Strategy: "bucketed", MaxProfiles: 3 + r.IntN(6)}, {Strategy: "bucketed", Costs: &Costs{Opt: 1}, MaxProfiles: 12},
			{Strategy: "static"}, {Strategy: "static-kv"}, {Strategy: "static-kv", Capacity: 4096, MaxProfiles: 16},
		} {
			if o.Strategy == "static" && seed%8 > 0 {
				continue // hundreds of profiles each
			}
			c := cached()
			switch {
			case w.Mode == Uncached:
				c = uncached()
			case o.Strategy == "static-kv":
				c = static(int64(r.IntN(2) * 4096))
			}
			p, err := Derive(c, w, o)
			switch {
			case o.Strategy == "static-kv" && w.Mode == Uncached:
				if fault.Exit(err) != 2 {
					t.Fatalf("seed %d: a static cache where there is none: %v", seed, err)
				}
				continue
			case err != nil:
				t.Fatalf("seed %d, %+v: %v", seed, o, err)
			}
			plans++
			if gaps := Check(c, p.Profiles, demand, p.Reach); len(gaps) > 0 {
				t.Fatalf("seed %d, %+v: %s: %s", seed, o, gaps[0].Shape, gaps[0])
			}
			if o.MaxProfiles > 0 && len(p.Profiles) > o.MaxProfiles {
				t.Errorf("%d profiles, at most %d were asked for", len(p.Profiles), o.MaxProfiles)
			}
			if o.Strategy == "static" {
				onlyShapes(t, p)
			}
			joint(t, c, p)
			if (int(seed)+n)%4 == 0 {
				tight(t, c, p, demand)
			}
			served(t, c, p)
			if err := p.check(); err != nil {
				t.Errorf("seed %d, %+v: %v", seed, o, err)
			}
			if t.Failed() {
				t.Fatalf("seed %d, %+v, workload %+v", seed, o, w)
			}
		}
	}
	t.Logf("%d plans hold their demand", plans)
}

// onlyShapes expects profiles of one shape each, as many as there are shapes.
func onlyShapes(t *testing.T, p *Plan) {
	t.Helper()
	shapes := map[[3]int]bool{}
	for s := range Each(p.Demand) {
		shapes[[3]int{s.Batch, s.Seq, s.Past}] = true
	}
	if len(p.Profiles) != len(shapes) {
		t.Errorf("%d profiles for %d shapes", len(p.Profiles), len(shapes))
	}
	for _, profile := range p.Profiles {
		for _, r := range profile.Inputs {
			if !slices.Equal(r.Min, r.Max) || !slices.Equal(r.Min, r.Opt) {
				t.Errorf("static profile %s: %s is %v to %v", profile.Name, r.Input, r.Min, r.Max)
			}
		}
	}
}

// joint holds every profile to the rule that a pass obeys, at its minimum, its
// optimum and its maximum: total = past + seq, one batch, one past.
func joint(t *testing.T, c *contract.Contract, p *Plan) {
	t.Helper()
	for _, profile := range p.Profiles {
		for name, of := range map[string]func(Range) []int64{
			"min": func(r Range) []int64 { return r.Min },
			"opt": func(r Range) []int64 { return r.Opt },
			"max": func(r Range) []int64 { return r.Max },
		} {
			at := map[contract.Role]int64{}
			for i, r := range profile.Inputs {
				for d, size := range of(r) {
					role := c.Inputs[i].Dims[d].Role
					if known, ok := at[role]; ok && known != size {
						t.Errorf("profile %s: %s is %d and %d at %s", profile.Name, role, known, size, name)
					}
					at[role] = size
				}
			}
			if total, ok := at[contract.Total]; ok && total != at[contract.Past]+at[contract.Seq] {
				t.Errorf("profile %s: at %s total %d is not %d + %d", profile.Name, name, total, at[contract.Past], at[contract.Seq])
			}
		}
	}
}

// tight takes one unit from each end of each range, alone, and expects that the
// profile then holds less of the demand: a shape falls out, unless another
// profile that can be reached holds it. A total that is the sum of the smallest
// past and the smallest sequence is not tight where both vary: no pass need have
// it. Nor is the least of a buffer.
func tight(t *testing.T, c *contract.Contract, p *Plan, demand []Shape) {
	t.Helper()
	held := func(i int) int {
		blocks, serving := Replay(c, p.Profiles[i:][:1], demand, Any)
		n := 0
		for k, b := range blocks {
			if serving[k] == 0 {
				n += b.Shapes()
			}
		}
		return n
	}
	for i := range p.Profiles {
		if i > 4 && i != len(p.Profiles)-1 {
			continue // of hundreds of static profiles some
		}
		before := held(i)
		both := p.Profiles[i].Seq.Min != p.Profiles[i].Seq.Max && p.Profiles[i].Past.Min != p.Profiles[i].Past.Max
		for k, r := range p.Profiles[i].Inputs {
			for d, dim := range c.Inputs[k].Dims {
				if dim.Role == contract.Static || dim.Role == contract.Total && both || dim.Role == contract.Buffer {
					continue
				}
				for name, end := range map[string]struct {
					of *int64
					by int64
				}{"min": {&r.Min[d], 1}, "max": {&r.Max[d], -1}} {
					*end.of += end.by
					if held(i) >= before {
						t.Errorf("%s of profile %d, %s dimension %d (%s), is not tight", name, i, r.Input, d, dim.Role)
					}
					alone := len(p.Profiles) == 1 || p.Reach == First
					if alone && len(Check(c, p.Profiles, demand, p.Reach)) == 0 {
						t.Errorf("%s of profile %d, %s dimension %d: a shape falls out and nobody says so", name, i, r.Input, d)
					}
					*end.of -= end.by
				}
			}
		}
	}
}

// served checks the plan's own proof: the profile named for a shape holds it
// alone.
func served(t *testing.T, c *contract.Contract, p *Plan) {
	t.Helper()
	for i, s := range p.Demand {
		if i > 10 && i%29 != 0 {
			continue
		}
		if gaps := Check(c, p.Profiles[p.Coverage[i]:][:1], []Shape{s}, First); len(gaps) > 0 {
			t.Errorf("profile %d does not serve %s: %s", p.Coverage[i], s, gaps[0])
		}
	}
}

func TestOptimaLieWhereThePassesAre(t *testing.T) {
	w := Workload{Scenarios: []Scenario{
		{Batch: 1, PromptTokens: 10, NewTokens: 101, Weight: 9}, {Batch: 8, PromptTokens: 300, NewTokens: 2},
	}}
	p, err := Derive(cached(), w, Options{Strategy: "wide"})
	if err != nil {
		t.Fatal(err)
	}
	if o := p.Profiles[0]; o.Batch.Opt != 1 || o.Seq.Opt != 1 || o.Past.Opt < 50 || o.Past.Opt > 70 {
		t.Errorf("wide: batch %d, seq %d, past %d; want a step in the middle of the long answer", o.Batch.Opt, o.Seq.Opt, o.Past.Opt)
	}
	if p, err = Derive(cached(), w, Options{Strategy: "phase"}); err != nil {
		t.Fatal(err)
	}
	pre, dec := p.Profiles[0], p.Profiles[1]
	if pre.Past != (Span{}) || pre.Seq != (Span{10, 10, 300}) || dec.Seq != (Span{1, 1, 1}) || dec.Past != (Span{10, dec.Past.Opt, 300}) {
		t.Errorf("phase: %+v, %+v", pre, dec)
	}
}

func TestRefusals(t *testing.T) {
	one := []Scenario{{Name: "one", Batch: 1, PromptTokens: 8, NewTokens: 8}}
	short, narrow := cached(), cached()
	short.MaxPositions = 15 // 8 + 7 fit: the last token is not fed
	for i := range narrow.Inputs {
		narrow.Inputs[i].Dims[0].Size = 4
	}
	for _, v := range []struct {
		name string
		c    *contract.Contract
		w    Workload
		o    Options
		want []string // none = it is no refusal
	}{
		{"just fits", short, Workload{Scenarios: one}, Options{Strategy: "auto"}, nil},
		{"one too long", short, Workload{Scenarios: one, FeedLast: true}, Options{Strategy: "auto"}, []string{`"one"`, "position 16", "has 15"}},
		{"all that are too long", short, Workload{Scenarios: []Scenario{
			{Name: "long", Batch: 1, PromptTokens: 9, NewTokens: 8}, {Name: "fits", Batch: 1, PromptTokens: 8, NewTokens: 8}, {Name: "prompt", Batch: 1, PromptTokens: 16},
		}}, Options{Strategy: "auto"}, []string{`"long"`, `"prompt"`}},
		{"a fixed batch", narrow, Workload{Scenarios: one}, Options{Strategy: "auto"}, []string{"input_ids dimension 0", "past.0.value dimension 0", "fixes batch at 4", "asks for 1"}},
		{"no scenario", cached(), Workload{}, Options{Strategy: "auto"}, []string{"asks for nothing"}},
		{"nonsense, all at once", cached(), Workload{Mode: "often", Scenarios: []Scenario{
			{Name: "a", PromptTokens: 1}, {Name: "b", Batch: 1, PromptTokens: 1, NewTokens: -1}, {Name: "c", Batch: 1, PromptTokens: 1, Weight: math.NaN()}, {Name: "d", Batch: 1, PromptTokens: 1 << 40},
		}}, Options{Strategy: "auto"}, []string{`mode "often"`, `"a"`, `"b"`, `"c"`, `"d"`}},
		{"no cache", uncached(), Workload{Mode: Both, Scenarios: one}, Options{Strategy: "auto"}, []string{"no cache"}},
		{"an unknown strategy", cached(), Workload{Scenarios: one}, Options{Strategy: "best"}, []string{`"best"`}},
		{"two profiles and one in reach", cached(), Workload{Scenarios: one}, Options{Strategy: "phase", Reach: First}, []string{"needs two profiles"}},
		{"two profiles and one allowed", cached(), Workload{Scenarios: one}, Options{Strategy: "phase", MaxProfiles: 1}, []string{"needs two profiles"}},
		{"one phase is one profile", uncached(), Workload{Mode: Uncached, Scenarios: one}, Options{Strategy: "phase", Reach: First}, nil},
	} {
		_, err := Derive(v.c, v.w, v.o)
		if len(v.want) == 0 {
			if err != nil {
				t.Errorf("%s: %v", v.name, err)
			}
			continue
		}
		if fault.Exit(err) != 2 {
			t.Errorf("%s: exit %d: %v", v.name, fault.Exit(err), err)
			continue
		}
		for _, want := range v.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\ndoes not say %s", v.name, err, want)
			}
		}
		if strings.Contains(err.Error(), `"fits"`) {
			t.Errorf("%s: a scenario that fits is refused: %v", v.name, err)
		}
	}
}

// TestAgainIsWhatTheWorkloadGives: a plan knows its demand, however it divides it, so
// another reach needs no workload.
func TestAgainIsWhatTheWorkloadGives(t *testing.T) {
	c := cached()
	r := rand.New(rand.NewPCG(9, 0))
	for range 50 {
		w := workload(r)
		many, err := Derive(c, w, Options{Strategy: "bucketed", MaxProfiles: 6})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Strategy: "auto", Reach: First, Backend: "orttrt", CreatedBy: "x"}
		want, err := Derive(c, w, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := many.Again(c, o)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want.Profiles, got.Profiles); d != "" || got.Reach != First || slices.Contains(got.Coverage, -1) {
			t.Fatalf("of %+v, reach %s:\n%s", w, got.Reach, d)
		}
	}
}
