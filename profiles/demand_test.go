package profiles

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

type passKey struct {
	phase            Phase
	batch, seq, past int
}

// replayed is the demand as a loop that serves every request would see it, one
// pass after the other: what Demand says in closed form.
func replayed(w Workload, requests [][2]int) map[passKey]float64 {
	seen := map[passKey]float64{}
	pad := 0
	if w.PaddedPast {
		pad = 1
	}
	serve := func(batch, prompt, fresh int, weight float64) {
		steps := max(fresh-1, 0)
		if w.FeedLast {
			steps = fresh
		}
		pass := func(phase Phase, seq, past int) { seen[passKey{phase, batch, seq, past + pad}] += weight }
		if w.Mode != Uncached && w.Chunk > 0 {
			for past := 0; past < prompt; past += w.Chunk {
				phase := Prefill
				if past > 0 {
					phase = ChunkedPrefill
				}
				pass(phase, min(w.Chunk, prompt-past), past)
			}
		}
		if w.Chunk == 0 || w.Mode == Both {
			pass(Prefill, prompt, 0)
		}
		for i := range steps {
			if w.Mode != Uncached {
				pass(Decode, 1, prompt+i)
			}
			if w.Mode == Uncached || w.Mode == Both {
				pass(UncachedDecode, prompt+1+i, 0)
			}
		}
	}
	batches := w.Batches
	for b := 1; len(w.Batches) == 0 && b <= max(w.BatchMax, 1); b++ {
		batches = append(batches, b)
	}
	for _, s := range w.Scenarios {
		weight := s.Weight
		if weight == 0 {
			weight = 1
		}
		if s.Batch > 0 {
			serve(s.Batch, s.PromptTokens, s.NewTokens, weight)
			continue
		}
		for _, b := range batches {
			serve(b, s.PromptTokens, s.NewTokens, weight/float64(len(batches)))
		}
	}
	for _, r := range requests {
		for _, b := range batches {
			serve(b, r[0], r[1], 1/float64(len(batches)))
		}
	}
	return seen
}

// anyWorkload is a random one with everything that a workload can say.
func anyWorkload(r *rand.Rand) (Workload, [][2]int) {
	w := workload(r)
	switch r.IntN(4) {
	case 0:
		w.BatchMax = 1 + r.IntN(9)
	case 1:
		for b := 1; b < 12; b++ {
			if r.IntN(3) == 0 {
				w.Batches = append(w.Batches, b)
			}
		}
	}
	if w.Mode != Uncached && r.IntN(3) == 0 {
		w.Chunk = 1 + r.IntN(40)
	}
	w.PaddedPast = w.Mode != Uncached && r.IntN(4) == 0
	if w.BatchMax > 0 || len(w.Batches) > 0 {
		w.Scenarios[0].Batch = 0
	}
	var requests [][2]int
	if r.IntN(2) == 0 {
		out := NewRequests("random")
		for range r.IntN(40) {
			q := [2]int{1 + r.IntN(80), r.IntN(30)}
			requests = append(requests, q)
			if err := out.Add(q[0], q[1], 1); err != nil {
				panic(err)
			}
		}
		w.Requests = []*Requests{out}
	}
	return w, requests
}

func TestDemandIsWhatALoopWouldSee(t *testing.T) {
	for seed := range uint64(2000) {
		w, requests := anyWorkload(rand.New(rand.NewPCG(seed, 7)))
		if err := w.Check(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := replayed(w, requests)
		got := map[passKey]float64{}
		demand := Demand(w)
		for s := range Each(demand) {
			k := passKey{s.Phase, s.Batch, s.Seq, s.Past}
			if _, twice := got[k]; twice {
				t.Fatalf("seed %d: %s is there twice", seed, s)
			}
			got[k] = s.Count
		}
		if len(got) != len(want) || Count(demand) != len(want) {
			t.Errorf("seed %d: %d shapes, want %d", seed, len(got), len(want))
		}
		for k, n := range want {
			if math.Abs(got[k]-n) > 1e-9*n {
				t.Errorf("seed %d: %v occurs %g times, want %g", seed, k, got[k], n)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d: %+v, requests %v", seed, w, requests)
		}
	}
}

// A million tokens at a thousand batch sizes are a block, not a list.
func TestDemandDoesNotGrowWithLengths(t *testing.T) {
	w := Workload{BatchMax: 1000, Scenarios: []Scenario{{Name: "long", PromptTokens: 1000, NewTokens: 1 << 20}}}
	demand := Demand(w)
	if len(demand) != 2 || Count(demand) != 1000*(1<<20) {
		t.Errorf("%d blocks of %d shapes: %v", len(demand), Count(demand), demand)
	}
	p, err := Derive(cached(), w, Options{Strategy: "phase"})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Profiles[1]; got.Past != (Span{1000, 1000 + 1<<19 - 1, 1000 + 1<<20 - 2}) || got.Batch.Max != 1000 {
		t.Errorf("%+v", got)
	}
	p.Profiles[1].Inputs[1].Max[1]--
	gaps := Check(cached(), p.Profiles, demand, Any)
	if len(gaps) != 1 || gaps[0].Shapes != 1000 || gaps[0].Shape.Batches != 1000 {
		t.Errorf("%v", gaps)
	}
}

func TestWorkloadsThatAskForTooMuch(t *testing.T) {
	var apart []int
	for b := range 3000 {
		apart = append(apart, 1+2*b)
	}
	r := NewRequests("r")
	for n := range 3000 {
		if err := r.Add(1+n, n%7, 1); err != nil {
			t.Fatal(err)
		}
	}
	for name, w := range map[string]Workload{
		"batches apart":     {Batches: apart, Requests: []*Requests{r}},
		"a million chunks":  {Chunk: 1, Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 1 << 20}}},
		"two ways of batch": {BatchMax: 2, Batches: []int{1}, Requests: []*Requests{r}},
		"chunks, no cache":  {Mode: Uncached, Chunk: 8, Requests: []*Requests{r}},
		"a batch of 0":      {Batches: []int{0}, Requests: []*Requests{r}},
		"not opened":        {Trace: "requests.jsonl"},
	} {
		if err := w.Check(); err == nil {
			t.Errorf("%s is allowed", name)
		}
	}
}

// The fewest gaps: one for neighbours that lack the same.
func TestGapsAreGrouped(t *testing.T) {
	w := Workload{Scenarios: []Scenario{
		{Name: "short", Batch: 1, PromptTokens: 8, NewTokens: 40, Weight: 3},
		{Name: "long", Batch: 1, PromptTokens: 20, NewTokens: 90},
		{Name: "four", Batch: 4, PromptTokens: 20, NewTokens: 5},
	}}
	p, err := Derive(cached(), Workload{Scenarios: []Scenario{{Name: "s", Batch: 1, PromptTokens: 8, NewTokens: 30}}}, Options{Strategy: "phase"})
	if err != nil {
		t.Fatal(err)
	}
	gaps := Check(cached(), p.Profiles, Demand(w), Any)
	w.Attribute(gaps)
	want := []string{
		"prefill batch 1, seq 20, past 0 | profile 0 | 1 shapes | 1 | [long prefill]",
		"prefill batch 4, seq 20, past 0 | profile 0 | 1 shapes | 1 | [four prefill]",
		"decode batch 1, seq 1, past 37 to 108 | profile 1 | 72 shapes | 102 | [short steps 30 to 39 long steps 18 to 89]",
		"decode batch 4, seq 1, past 20 to 23 | profile 1 | 4 shapes | 4 | [four steps 1 to 4]",
	}
	if len(gaps) != len(want) {
		t.Fatalf("%d gaps: %v", len(gaps), gaps)
	}
	for i, g := range gaps {
		if got := fmt.Sprintf("%s | profile %d | %d shapes | %g | %v", g.Shape, g.Profile, g.Shapes, g.Passes, g.Asked); got != want[i] {
			t.Errorf("gap %d: %s\nwant   %s", i, got, want[i])
		}
	}
	if got, want := gaps[2].String(), "attention_mask dimension 1 is 38 to 109, profile 1 holds 9 to 37: set its max to 109; past.0.key (and 1 more) dimension 2 is 37 to 108, profile 1 holds 8 to 36: set its max to 108"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Blocks are divided as single shapes would be: by profiles that overlap, that
// lie inside one another and that cut across batches.
func TestReplayIsThatOfSingleShapes(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 3))
		w, _ := anyWorkload(r)
		demand := Demand(w)
		var all []Profile
		for range 1 + r.IntN(5) {
			p := Profile{Batch: randomSpan(r, 9), Seq: randomSpan(r, 50), Past: randomSpan(r, 60)}
			if r.IntN(2) == 0 {
				p.Seq = Span{1, 1, 1}
			}
			all = append(all, (&deriver{c: cached()}).with(p))
		}
		blocks, serving := Replay(cached(), all, demand, Any)
		if Count(blocks) != Count(demand) || math.Abs(Passes(blocks)-Passes(demand)) > 1e-9*Passes(demand) {
			t.Fatalf("seed %d: %d shapes became %d", seed, Count(demand), Count(blocks))
		}
		shapes := 0
		for i, b := range blocks {
			for s := range Each([]Shape{b}) {
				_, one := Replay(cached(), all, []Shape{s}, Any)
				if one[0] != serving[i] {
					t.Fatalf("seed %d: %s is served by %d, its block %s by %d", seed, s, one[0], b, serving[i])
				}
				want := -1
				for k := len(all) - 1; k >= 0; k-- {
					p := all[k]
					in := func(v int, s Span) bool { return s.Min <= v && v <= s.Max }
					if in(s.Batch, p.Batch) && in(s.Seq, p.Seq) && in(s.Past, p.Past) && in(s.Total(), Span{p.Past.Min + p.Seq.Min, 0, p.Past.Max + p.Seq.Max}) {
						want = k
					}
				}
				if serving[i] != want {
					t.Fatalf("seed %d: %s is served by %d, want %d", seed, s, serving[i], want)
				}
				if want < 0 {
					shapes++
				}
			}
		}
		grouped := 0
		for _, g := range Check(cached(), all, demand, Any) {
			grouped += g.Shapes
			if len(g.Outside) == 0 {
				t.Errorf("seed %d: %s lacks nothing", seed, g.Shape)
			}
		}
		if grouped != shapes {
			t.Errorf("seed %d: gaps hold %d shapes, want %d", seed, grouped, shapes)
		}
	}
}

func randomSpan(r *rand.Rand, most int) Span {
	a, b := r.IntN(most), r.IntN(most)
	return Span{min(a, b), min(a, b), max(a, b)}
}

// What a gap says has to be done is enough, for every shape of the group.
func TestCorrectionsAreEnough(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 4))
		w, _ := anyWorkload(r)
		var all []Profile
		for range 1 + r.IntN(3) {
			all = append(all, (&deriver{c: cached()}).with(Profile{Batch: randomSpan(r, 9), Seq: randomSpan(r, 50), Past: randomSpan(r, 60)}))
		}
		demand := Demand(w)
		for _, g := range Check(cached(), all, demand, Any) {
			for _, o := range g.Outside {
				for _, input := range o.Inputs {
					for _, x := range all[g.Profile].Inputs {
						if x.Input == input {
							x.Min[o.Dim], x.Max[o.Dim] = min(x.Min[o.Dim], o.Size), max(x.Max[o.Dim], o.Size, o.To)
						}
					}
				}
			}
		}
		if left := Check(cached(), all, demand, Any); len(left) > 0 {
			t.Fatalf("seed %d: corrected, %s is left: %s", seed, left[0].Shape, left[0])
		}
	}
}
