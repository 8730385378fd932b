package profiles

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

func derive(t *testing.T, c *contract.Contract, w Workload, o Options) *Plan {
	t.Helper()
	p, err := Derive(c, w, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refuse(t *testing.T, c *contract.Contract, w Workload, o Options, want ...string) {
	t.Helper()
	_, err := Derive(c, w, o)
	if fault.Exit(err) != 2 {
		t.Errorf("exit %d: %v", fault.Exit(err), err)
		return
	}
	for _, s := range want {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v\ndoes not say %s", err, s)
		}
	}
}

var chat = Workload{Scenarios: []Scenario{{Name: "chat", Batch: 1, PromptTokens: 40, NewTokens: 21}, {Name: "four", Batch: 4, PromptTokens: 10, NewTokens: 11}}}

// Past buffers end the failure where past leaves a profile: decode is one shape
// for each batch, with every input's minimum its maximum.
func TestStaticKV(t *testing.T) {
	p := derive(t, static(64), chat, Options{Strategy: "auto"})
	if p.Strategy != "static-kv" {
		t.Errorf("auto is %s", p.Strategy)
	}
	decode := 0
	for _, profile := range p.Profiles {
		for _, r := range profile.Inputs {
			if d := len(r.Min) - 2; strings.HasPrefix(r.Input, "past") && (r.Min[d] != 64 || r.Max[d] != 64) {
				t.Errorf("%s: %s is %v to %v", profile.Name, r.Input, r.Min, r.Max)
			}
			if strings.HasPrefix(profile.Name, "decode") && !slices.Equal(r.Min, r.Max) {
				t.Errorf("%s: %s is not static: %v to %v", profile.Name, r.Input, r.Min, r.Max)
			}
		}
		if strings.HasPrefix(profile.Name, "decode") {
			decode++
		}
	}
	if decode != 2 {
		t.Errorf("%d decode profiles for batches 1 and 4", decode)
	}
	refuse(t, static(59), chat, Options{Strategy: "static-kv"}, "fixes buffer at 59", "needs 60", "past.0.key dimension 2")
	refuse(t, static(0), chat, Options{Strategy: "static-kv", Capacity: 59}, "buffer of 59", "needs 60")
	refuse(t, cached(), chat, Options{Strategy: "static-kv"}, "cache is a buffer")
	if p := derive(t, static(0), chat, Options{Strategy: "wide", Reach: First}); p.Profiles[0].Inputs[2].Max[2] != 60 {
		t.Errorf("an open buffer is %v", p.Profiles[0].Inputs[2])
	}
	many := chat
	many.BatchMax, many.Scenarios = 100, []Scenario{{Name: "all", PromptTokens: 8, NewTokens: 8}}
	if p := derive(t, static(0), many, Options{Strategy: "static-kv"}); len(p.Profiles) != 2 || p.Profiles[0].Batch.Max != 100 {
		t.Errorf("a hundred batches: %d profiles", len(p.Profiles))
	}
}

// A table of positions that is sliced bounds the corner of a profile; otherwise
// n_positions bounds the requests alone.
func TestPositionsBoundTheDemandNotTheCorner(t *testing.T) {
	c := cached()
	c.MaxPositions = 64
	w := Workload{Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 40, NewTokens: 25}}}
	if p := derive(t, c, w, Options{Strategy: "wide"}); p.Profiles[0].Seq.Max+p.Profiles[0].Past.Max != 103 {
		t.Errorf("%+v", p.Profiles[0])
	}
	c.PositionsTable = true
	refuse(t, c, w, Options{Strategy: "wide"}, "position 103", "table of 64", "past could be 24", "needs 63")
	if p := derive(t, c, w, Options{Strategy: "auto"}); p.Strategy != "phase" {
		t.Errorf("auto is %s", p.Strategy)
	}
	refuse(t, c, w, Options{Strategy: "auto", Reach: First}, "table of 64")
	small := Workload{Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 20, NewTokens: 25}}}
	derive(t, c, small, Options{Strategy: "wide"})
}

func TestPaddedPast(t *testing.T) {
	w := chat
	w.PaddedPast = true
	p := derive(t, cached(), w, Options{Strategy: "phase"})
	for _, profile := range p.Profiles {
		for _, r := range profile.Inputs {
			if slices.Contains(r.Min, 0) {
				t.Errorf("%s: %s has a dimension of 0: %v", profile.Name, r.Input, r.Min)
			}
		}
	}
	if pre, dec := p.Profiles[0], p.Profiles[1]; pre.Past != (Span{1, 1, 1}) || dec.Past.Max != 60 || !p.PaddedPast || pre.Inputs[1].Max[1] != 41 {
		t.Errorf("%+v %+v", pre, dec)
	}
}

func TestOptimumOfAWideProfile(t *testing.T) {
	w := Workload{Scenarios: []Scenario{{Name: "a", Batch: 2, PromptTokens: 40, NewTokens: 21}}}
	for opt, want := range map[string][2]int{"": {1, 49}, "decode": {1, 49}, "prefill": {40, 0}, "median": {1, 49}} {
		if p := derive(t, cached(), w, Options{Strategy: "wide", Opt: opt}).Profiles[0]; p.Seq.Opt != want[0] || p.Past.Opt != want[1] {
			t.Errorf("%q: seq %d, past %d, want %v", opt, p.Seq.Opt, p.Past.Opt, want)
		}
	}
	refuse(t, cached(), w, Options{Strategy: "wide", Opt: "best"}, `"best"`)
}

// A pass over pieces of a prompt belongs to the prompts, not to decode.
func TestChunksOfPrompts(t *testing.T) {
	w := Workload{Chunk: 16, Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 40, NewTokens: 5}}}
	p := derive(t, cached(), w, Options{Strategy: "phase"})
	dec, pre := p.Profiles[0], p.Profiles[1] // a runtime takes the first that holds a step
	if pre.Seq != (Span{8, 16, 16}) || pre.Past != (Span{0, 16, 32}) || dec.Seq != (Span{1, 1, 1}) || dec.Past != (Span{40, 41, 43}) {
		t.Errorf("%+v %+v", pre, dec)
	}
}

// Whatever the strategy, a step of decode is not served by a profile of prompts
// where there is one for decode.
func TestStepsGoToDecode(t *testing.T) {
	for seed := range uint64(200) {
		w, _ := anyWorkload(rand.New(rand.NewPCG(seed, 21)))
		w.Mode = Cached
		for strategy, c := range map[string]*contract.Contract{"phase": cached(), "bucketed": cached(), "static-kv": static(0)} {
			p := derive(t, c, w, Options{Strategy: strategy})
			for i, s := range p.Demand {
				if name := p.Profiles[p.Coverage[i]].Name; s.Phase == Decode && !strings.HasPrefix(name, "decode") {
					t.Fatalf("seed %d, %s: %s goes to %s", seed, strategy, s, name)
				}
			}
		}
	}
}

// Inputs without a role: a vision encoder, one profile by its batch and limits.
func TestFreeDimensions(t *testing.T) {
	free := func(limits *contract.Limits) *contract.Contract {
		return &contract.Contract{Inputs: []contract.Tensor{{Name: "pixel_values", Type: "float", Dims: []contract.Dim{
			{Role: contract.Batch}, {Role: contract.Static, Size: 3}, {Role: contract.Free, Limits: limits}, {Role: contract.Free, Limits: limits}}}}}
	}
	refuse(t, free(nil), Workload{}, Options{Strategy: "auto"}, "pixel_values dimension 2", "pixel_values dimension 3")
	p := derive(t, free(&contract.Limits{Min: 224, Opt: 256, Max: 512}), Workload{BatchMax: 8}, Options{Strategy: "auto"})
	if got, want := fmt.Sprint(p.Profiles[0].Inputs), "[{pixel_values [1 3 224 224] [4 3 256 256] [8 3 512 512] false}]"; got != want || len(p.Profiles) != 1 {
		t.Errorf("%s\nwant %s", got, want)
	}
	p.Profiles[0].Inputs[0].Max[3] = 511
	if gaps := Check(free(&contract.Limits{Min: 224, Opt: 256, Max: 512}), p.Profiles, p.Demand, Any); len(gaps) != 1 || !strings.Contains(gaps[0].String(), "set its max to 512") {
		t.Errorf("%v", gaps)
	}
	if p := derive(t, free(&contract.Limits{Min: 1, Opt: 1, Max: 1}), Workload{}, Options{Strategy: "phase"}); p.Profiles[0].Batch != (Span{1, 1, 1}) {
		t.Errorf("%+v", p.Profiles)
	}
}

// A profile of one batch and one token beside more tokens at that batch makes the
// builder store the weights twice; the price of it can tip the balance.
func TestWeightsStoredTwiceArePartOfTheCost(t *testing.T) {
	one := Workload{Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 12, NewTokens: 40}}}
	p := derive(t, cached(), one, Options{Strategy: "auto", WeightBytes: 500 << 20})
	if p.Strategy != "phase" || p.Estimate.PlanBytes != 500<<20 || len(p.Notes) != 1 {
		t.Errorf("%s, %+v, %v", p.Strategy, p.Estimate, p.Notes)
	}
	if p := derive(t, cached(), one, Options{Strategy: "auto", WeightBytes: 14 << 30}); p.Strategy != "wide" || p.Estimate.PlanBytes != 0 {
		t.Errorf("of 14 GiB: %s, %+v", p.Strategy, p.Estimate)
	}
	if p := derive(t, cached(), chat, Options{Strategy: "phase", WeightBytes: 500 << 20}); p.Estimate.PlanBytes != 0 || len(p.Notes) != 0 {
		t.Errorf("of batches 1 to 4: %+v, %v", p.Estimate, p.Notes)
	}
}

func TestReachOfBackends(t *testing.T) {
	for backend, want := range map[string]Reach{"ortcpu": Any, "rtx": Any, "orttrt": First, "trtexec": Any, "tensorrt": Any, "nvrtx": Any, "triton": Any, "polygraphy": Any} {
		if r, err := ReachOf(backend, ""); err != nil || r.Reach != want || r.Note == "" {
			t.Errorf("%s: %+v, %v", backend, r, err)
		}
	}
	if _, err := ReachOf("tpu", ""); fault.Exit(err) != 2 {
		t.Errorf("%v", err)
	}
	old := runtimes
	defer func() { runtimes = old }()
	runtimes = append([]Runtime{{Backend: "orttrt", Since: "1.40", Reach: Any, Note: "it switches"}}, runtimes...)
	for version, want := range map[string]Reach{"1.9": First, "1.39.2": First, "1.40": Any, "1.40.1": Any, "2": Any, "": Any} {
		if r, err := ReachOf("orttrt", version); err != nil || r.Reach != want {
			t.Errorf("orttrt %s: %s, want %s", version, r.Reach, want)
		}
	}
}

// By hand, for GPT-2: 12 layers of 12 heads of 64, FP32.
// A decoder has a set of buffers to read and one to write, each as long as the
// graph says, however few columns are used.
func TestMemoryOfAStaticCache(t *testing.T) {
	c := static(96)
	c.Layers, c.Heads, c.HeadDim = 1, int(c.Inputs[2].Dims[1].Size), int(c.Inputs[2].Dims[3].Size)
	p := (&deriver{c: c}).with(Profile{Batch: Span{1, 1, 2}, Seq: Span{1, 1, 1}, Past: Span{0, 5, 5}})
	m := Memory(c, p)
	if want := int64(2 * c.Layers * 2 * c.Heads * 96 * c.HeadDim * 4); m.KVIn != want || m.KVOut != want {
		t.Errorf("%d bytes read and %d written, want %d each", m.KVIn, m.KVOut, want)
	}
}

func TestMemory(t *testing.T) {
	c := cached()
	c.Layers, c.Heads, c.HeadDim, c.Vocab = 12, 12, 64, 50257
	var inputs []contract.Tensor
	for l := range 12 {
		for _, in := range c.Inputs[2:] {
			in.Dims = slices.Clone(in.Dims)
			in.Name, in.Dims[1].Size, in.Dims[3].Size = fmt.Sprint(in.Name, l), 12, 64
			inputs = append(inputs, in)
		}
	}
	c.Inputs = append(c.Inputs[:2:2], inputs...)
	for i := range c.Inputs[:2] {
		c.Inputs[i].Type = "int64"
	}
	p := (&deriver{c: c}).with(Profile{Batch: Span{1, 1, 2}, Seq: Span{1, 1, 10}, Past: Span{0, 0, 90}})
	got := Memory(c, p)
	want := Bytes{
		Inputs: 2*10*8 + 2*100*8, KVIn: 2 * 12 * 2 * 12 * 90 * 64 * 4, KVOut: 2 * 12 * 2 * 12 * 100 * 64 * 4,
		Logits: 2 * 10 * 50257 * 4, Activations: (2*10*768*8 + 2*12*10*100*2) * 4,
	}
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	c.Logits = "last"
	if got := Memory(c, p).Logits; got != 2*50257*4 {
		t.Errorf("logits of the last position: %d", got)
	}
	huge := (&deriver{c: c}).with(Profile{Batch: Span{1, 1, maxTokens}, Seq: Span{1, 1, maxTokens}, Past: Span{0, 0, maxTokens}})
	if m := Memory(c, huge); m.Total() <= 0 || m.Activations <= 0 {
		t.Errorf("%+v", m)
	}
}

func TestParseScenario(t *testing.T) {
	for text, want := range map[string]Scenario{
		"chat=4x27+8":       {"chat", 4, 27, 8, 1},
		"1x27+8":            {"1x27+8", 1, 27, 8, 1},
		"a b=x=27+0@2.5":    {},
		"long=2048+128@2.5": {"long", 0, 2048, 128, 2.5},
		"a=0x1+1":           {}, "a=1x+1": {}, "a=1x2": {}, "": {}, "a=1x2+3@0": {}, "a=1x2+3@.": {}, "a=1x2+99999999": {}, "a=-1x2+3": {},
	} {
		s, err := ParseScenario(text)
		if want == (Scenario{}) {
			if fault.Exit(err) != 2 {
				t.Errorf("%q: %+v, %v", text, s, err)
			}
			continue
		}
		if err != nil || s != want {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}
