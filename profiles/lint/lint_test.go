package lint

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// decoder is a decoder of two layers with a cache, 64 positions.
func decoder() *contract.Contract {
	roles := func(all ...contract.Role) (dims []contract.Dim) {
		for _, r := range all {
			d := contract.Dim{Role: r}
			if r == contract.Static {
				d.Size = 4
			}
			dims = append(dims, d)
		}
		return dims
	}
	c := &contract.Contract{Layers: 2, MaxPositions: 64, Inputs: []contract.Tensor{
		{Name: "input_ids", Kind: contract.KindIDs, Type: "int64", Dims: roles(contract.Batch, contract.Seq)},
		{Name: "attention_mask", Kind: contract.KindMask, Type: "int64", Dims: roles(contract.Batch, contract.Total)},
		{Name: "position_ids", Kind: contract.KindPositions, Type: "int64", Dims: roles(contract.Batch, contract.Seq)},
	}}
	for _, name := range []string{"past.0.key", "past.0.value", "past.1.key", "past.1.value"} {
		c.Inputs = append(c.Inputs, contract.Tensor{Name: name, Kind: contract.KindPastKey, Type: "float", Dims: roles(contract.Batch, contract.Static, contract.Past, contract.Static)})
	}
	return c
}

var chat = profiles.Workload{Scenarios: []profiles.Scenario{
	{Name: "chat", Batch: 1, PromptTokens: 8, NewTokens: 9},
	{Name: "bulk", Batch: 2, PromptTokens: 16, NewTokens: 17},
}}

// sound is a subject that no rule has anything to say about.
func sound(t *testing.T) Subject {
	t.Helper()
	c := decoder()
	p, err := profiles.Derive(c, chat, profiles.Options{Strategy: "phase"})
	if err != nil {
		t.Fatal(err)
	}
	w := chat
	return Subject{Contract: c, Profiles: p.Profiles, Demand: p.Demand, Workload: &w, Graph: plain(), Backend: TensorRT}
}

// plain is a graph that TensorRT takes whole.
func plain() *Graph {
	g := &Graph{Opset: 21, Ops: map[string]int{}, Inputs: decoder().Inputs}
	g.add(node{"Gather", []string{"wte", "input_ids"}, []string{"x"}}, node{"MatMul", []string{"x", "w"}, []string{"y"}})
	return g
}

func (g *Graph) add(nodes ...node) {
	for _, n := range nodes {
		g.Nodes++
		g.Ops[n.op]++
		g.nodes = append(g.nodes, n)
	}
}

func at(p profiles.Profile, input string) *profiles.Range {
	return &p.Inputs[slices.IndexFunc(p.Inputs, func(r profiles.Range) bool { return r.Input == input })]
}

func set(p profiles.Profile, input string, dim int, lo, opt, hi int64) {
	r := at(p, input)
	r.Min[dim], r.Opt[dim], r.Max[dim] = lo, opt, hi
}

// span sets the batch, sequence and past of a whole profile.
func span(s *Subject, i int, batch, seq, past profiles.Span) {
	p := &s.Profiles[i]
	p.Inputs = nil
	for _, t := range s.Contract.Inputs {
		shape := func(of func(profiles.Span) int) []int64 {
			return s.Contract.Shape(t, int64(of(batch)), int64(of(seq)), int64(of(past)))
		}
		p.Inputs = append(p.Inputs, profiles.Range{Input: t.Name,
			Min: shape(func(s profiles.Span) int { return s.Min }), Opt: shape(func(s profiles.Span) int { return s.Opt }), Max: shape(func(s profiles.Span) int { return s.Max })})
	}
}

func cut(g *Graph) {
	g.add(node{"com.microsoft.FusedMatMul", []string{"y", "w"}, []string{"z"}}, node{"Relu", []string{"z"}, []string{"logits"}})
}

func one(n int) profiles.Span { return profiles.Span{Min: n, Opt: n, Max: n} }

// cases break the sound subject in one way each. others are rules that cannot
// but be broken at the same time.
var cases = []struct {
	rule   string
	change func(s *Subject)
	says   string
	others string
}{
	{"TF101", func(s *Subject) {
		s.Profiles[0].Inputs = append(s.Profiles[0].Inputs, profiles.Range{Input: "attention_msk", Min: []int64{1}, Opt: []int64{1}, Max: []int64{1}})
	}, "attention_msk is no input of the graph", ""},
	{"TF102", func(s *Subject) {
		for i := range s.Profiles {
			s.Profiles[i].Inputs = s.Profiles[i].Inputs[1:]
		}
	}, "input_ids has no range", "TF401"},
	{"TF103", func(s *Subject) { s.Profiles[1].Inputs = append(s.Profiles[1].Inputs, s.Profiles[1].Inputs[2]) }, "position_ids has two ranges", ""},
	{"TF104", func(s *Subject) { s.Profiles[1].Inputs = s.Profiles[1].Inputs[1:] }, "input_ids has no range, and has one in 1 of 2 profiles", "TF401"},
	{"TF105", func(s *Subject) { at(s.Profiles[0], "position_ids").Min = nil }, "position_ids has no min", "TF401"},
	{"TF106", func(s *Subject) {
		s.Backend = Trtexec
		s.Contract.Inputs[2].Name, s.Profiles[0].Inputs[2].Input, s.Profiles[1].Inputs[2].Input = "position:0", "position:0", "position:0"
	}, `"position:0" cannot be written`, ""},
	{"TF107", func(s *Subject) { span(s, 1, one(2), one(1), profiles.Span{Min: 8, Opt: 20, Max: 1 << 31}) }, "past.0.key (and 3 more) dimension 2 is 2147483648", "TF308 TF401 TF413"},
	{"TF108", func(s *Subject) { s.Profiles = nil }, "input_ids (and 6 more) varies, and there is no profile", "TF401"},
	{"TF109", func(s *Subject) { s.Profiles, s.Backend = nil, RTXEP }, "there is no profile", "TF401"},
	{"TF110", func(s *Subject) {
		s.Backend, s.Demand = Trtexec, nil
		for i, t := range s.Contract.Inputs {
			for d := range t.Dims {
				s.Contract.Inputs[i].Dims[d].Size = 1
			}
		}
		span(s, 0, one(1), one(1), one(1))
		s.Profiles = s.Profiles[:1]
	}, "every input has a fixed shape", "TF301"},
	{"TF201", func(s *Subject) { set(s.Profiles[0], "position_ids", 1, -1, 8, 16) }, "position_ids dimension 1: -1, 8, 16", "TF303 TF412"},
	{"TF202", func(s *Subject) { set(s.Profiles[0], "position_ids", 1, 8, 17, 16) }, "position_ids dimension 1: 8, 17, 16", "TF303"},
	{"TF203", func(s *Subject) {
		r := at(s.Profiles[0], "input_ids")
		r.Min, r.Opt, r.Max = append(r.Min, 1), append(r.Opt, 1), append(r.Max, 1)
	}, "input_ids has 2 dimensions, its range has 3", ""},
	{"TF204", func(s *Subject) { set(s.Profiles[0], "past.1.key", 1, 8, 8, 8) }, "past.1.key dimension 1: the graph fixes it at 4, min, opt and max are 8, 8, 8", "TF401"},
	{"TF205", func(s *Subject) { at(s.Profiles[0], "past.0.key").Values = true }, "past.0.key is float", ""},
	{"TF206", func(s *Subject) {
		s.Contract.Inputs = append(s.Contract.Inputs, contract.Tensor{Name: "keep", Type: "int64", Dims: []contract.Dim{{Role: contract.Static, Size: 1}}})
		s.Graph.ShapeInputs = []string{"keep"}
	}, "keep is a shape tensor and has no values", ""},
	{"TF207", func(s *Subject) {
		span(s, 0, profiles.Span{Min: 0, Opt: 1, Max: 2}, profiles.Span{Min: 8, Opt: 8, Max: 16}, one(0))
	}, "input_ids (and 6 more) dimension 0 may be 0", "TF412"},
	{"TF208", func(s *Subject) { s.Options.NoZero = true }, "past.0.key (and 3 more) dimension 2 has min 0", ""},
	{"TF301", func(s *Subject) {
		set(s.Profiles[1], "attention_mask", 1, 9, 20, 40)
	}, "attention_mask at max is 40, past 31 and sequence 1 make 32", ""},
	{"TF302", func(s *Subject) { set(s.Profiles[0], "attention_mask", 0, 1, 1, 3) }, "attention_mask dimension 0: ", "TF412"},
	{"TF303", func(s *Subject) { set(s.Profiles[0], "position_ids", 1, 8, 8, 17) }, "position_ids dimension 1: max of seq is 17, input_ids has 16", "TF412"},
	{"TF304", func(s *Subject) {
		set(s.Profiles[1], "past.0.value", 2, 8, 23, 33)
		set(s.Profiles[1], "past.1.value", 2, 8, 23, 33)
	}, "past.0.value (and 1 more) dimension 2: opt of past is 23, past.0.key has 19; max of past is 33, past.0.key has 31", "TF412"},
	{"TF305", func(s *Subject) {
		s.Contract = nil
		s.Graph.Inputs = []contract.Tensor{
			{Name: "a", Type: "int64", Dims: []contract.Dim{{Role: contract.Free, Symbol: "n"}}}, {Name: "b", Type: "int64", Dims: []contract.Dim{{Role: contract.Free, Symbol: "n"}}}}
		s.Profiles = []profiles.Profile{{Inputs: []profiles.Range{{Input: "a", Min: []int64{1}, Opt: []int64{1}, Max: []int64{1}}, {Input: "b", Min: []int64{2}, Opt: []int64{2}, Max: []int64{2}}}}}
	}, "b dimension 0: min of n is 2, a has 1", ""},
	{"TF306", func(s *Subject) {
		for i := 3; i < 7; i++ {
			s.Contract.Inputs[i].Dims[2] = contract.Dim{Role: contract.Buffer, Size: 20}
			for _, p := range s.Profiles {
				set(p, s.Contract.Inputs[i].Name, 2, 20, 20, 20)
			}
		}
		s.Demand = nil
	}, "attention_mask at max is 32, the cache has room for 20", ""},
	{"TF309", func(s *Subject) {
		for i := 3; i < 7; i++ {
			s.Contract.Inputs[i].Dims[2] = contract.Dim{Role: contract.Buffer}
			set(s.Profiles[0], s.Contract.Inputs[i].Name, 2, 16, 16, 16)
			set(s.Profiles[1], s.Contract.Inputs[i].Name, 2, 32, 32, 40)
		}
		s.Demand = nil
	}, "past.0.key dimension 2 is a buffer of 32 to 40 in profile 1, and of 16 to 16 in profile 0", ""},
	{"TF307", func(s *Subject) { s.Graph.Tables = []Table{{"causal", 20}} }, `attention_mask dimension 1 reaches 32, and the graph slices "causal", which has 20`, ""},
	{"TF308", func(s *Subject) {
		span(s, 1, profiles.Span{Min: 1, Opt: 2, Max: 2}, one(1), profiles.Span{Min: 8, Opt: 23, Max: 64})
	},
		"past.0.key (and 3 more) dimension 2 reaches 64, and the model's 64 positions leave 63", "TF413"},
	{"TF401", func(s *Subject) {
		span(s, 1, profiles.Span{Min: 1, Opt: 2, Max: 2}, one(1), profiles.Span{Min: 8, Opt: 23, Max: 28})
	}, "decode batch 2, seq 1, past 29 to 31 (3 shapes, 11.5 % of passes; asked for by bulk steps 14 to 16): attention_mask dimension 1 is 30 to 32, profile 1 holds 9 to 29; past.0.key (and 3 more) dimension 2 is 29 to 31, profile 1 holds 8 to 28", ""},
	{"TF402", func(s *Subject) {
		for i := range s.Contract.Inputs {
			s.Contract.Inputs[i].Dims[0].Size = 1
		}
	}, "the graph fixes it at 1", "TF204 TF413 TF418"},
	{"TF403", func(s *Subject) { s.Contract.MaxPositions = 30 }, "2 shapes reach beyond the model's 30 positions, the longest decode batch 2, seq 1, past 31: 32", "TF308"},
	{"TF411", func(s *Subject) {
		s.Profiles = append(s.Profiles, profiles.Profile{})
		span(s, 2, one(5), one(1), one(40))
	}, "profile 2 serves none", ""},
	{"TF412", func(s *Subject) {
		span(s, 1, profiles.Span{Min: 1, Opt: 2, Max: 2}, one(1), profiles.Span{Min: 2, Opt: 23, Max: 40})
	}, "past.0.key (and 3 more) dimension 2 holds 2 to 40, and is asked for 8 to 31", ""},
	{"TF413", func(s *Subject) {
		span(s, 1, profiles.Span{Min: 1, Opt: 2, Max: 2}, one(1), profiles.Span{Min: 8, Opt: 23, Max: 62})
	}, "past.0.key (and 3 more) dimension 2 has max 62, and is asked for at most 31", ""},
	{"TF414", func(s *Subject) {
		span(s, 1, profiles.Span{Min: 1, Opt: 2, Max: 2}, one(1), profiles.Span{Min: 0, Opt: 0, Max: 31})
	}, "past.0.key (and 3 more) dimension 2 has its optimum at 0, and half of the passes are within 19", "TF412"},
	{"TF415", func(s *Subject) {
		s.Profiles = append(s.Profiles, profiles.Profile{})
		span(s, 2, one(2), one(1), profiles.Span{Min: 40, Opt: 40, Max: 50})
	}, "past 32 to 39 lies between profile 1, which ends at 31, and profile 2, which begins at 40", "TF411"},
	{"TF416", func(s *Subject) { s.Profiles = append(s.Profiles, s.Profiles[0]) }, "profile 2 has the ranges of profile 0", "TF411"},
	{"TF417", func(s *Subject) {
		s.Workload.Scenarios = s.Workload.Scenarios[1:]
		s.Demand = profiles.Demand(*s.Workload)
	}, "dimension 0 is 1 to 2, and only batch 2 is asked for", "TF412"},
	{"TF418", func(s *Subject) {
		s.Demand = nil
		span(s, 0, one(1), profiles.Span{Min: 1, Opt: 8, Max: 16}, one(0))
		span(s, 1, one(1), one(1), profiles.Span{Min: 1, Opt: 8, Max: 16})
	}, "one profile is of one batch and one token, another of that batch and more tokens", ""},
	{"TF501", func(s *Subject) { s.Backend = ORTTRT }, "only profile 0 of 2 is ever used", "TF401"},
	{"TF502", func(s *Subject) { s.Options.Refittable = true }, "refittable and has 2 profiles", ""},
	{"TF503", func(s *Subject) {
		s.Backend, s.Demand, s.Profiles = ORTTRT, nil, s.Profiles[:1]
		s.Contract.Inputs = append(s.Contract.Inputs, contract.Tensor{Name: "keep", Type: "int64", Dims: []contract.Dim{{Role: contract.Static, Size: 1}}})
		s.Profiles[0].Inputs = append(s.Profiles[0].Inputs, profiles.Range{Input: "keep", Min: []int64{1}, Opt: []int64{2}, Max: []int64{3}, Values: true})
	}, "keep has opt [2] and max [3]", ""},
	{"TF504", func(s *Subject) {
		s.Backend, s.Demand, s.Profiles = ORTTRT, nil, s.Profiles[:1]
		s.Options.EngineCache, s.Options.CachePrefix = true, "gpt2"
		s.Profiles[0].Inputs = append(s.Profiles[0].Inputs, profiles.Range{Input: "token_type_ids", Min: []int64{1}, Opt: []int64{1}, Max: []int64{1}})
	}, "token_type_ids is in the options and not in the graph", "TF101"},
	{"TF505", func(s *Subject) {
		s.Backend, s.Demand, s.Profiles = ORTTRT, nil, s.Profiles[:1]
		s.Options.EngineCache = true
	}, "no prefix is set", ""},
	{"TF506", func(s *Subject) {
		s.Backend, s.Demand, s.Profiles = ORTTRT, nil, s.Profiles[:1]
		s.Options.CUDAGraph = true
	}, "profile 0 lets input_ids (and 6 more) vary", ""},
	{"TF507", func(s *Subject) { s.Backend = RTXEP }, "there are 2 profiles", ""},
	{"TF508", func(s *Subject) {
		cut(s.Graph)
		s.Backend, s.Demand, s.Profiles = ORTTRT, nil, s.Profiles[:1]
		s.Profiles[0].Inputs = append(s.Profiles[0].Inputs, profiles.Range{Input: "z", Min: []int64{1}, Opt: []int64{1}, Max: []int64{1}})
	}, "at least 2 pieces, cut by com.microsoft.FusedMatMul (1)", ""},
	{"TF509", func(s *Subject) {
		cut(s.Graph)
		s.Backend = RTXEP
	}, "z has no range in profile 0", "TF507 TF508"},
	{"TF601", func(s *Subject) { s.Graph.Branches = []string{"optimum::if"} }, "1 node: optimum::if", ""},
	{"TF602", func(s *Subject) { cut(s.Graph) }, "com.microsoft.FusedMatMul (1)", ""},
	{"TF603", func(s *Subject) { s.Graph.Int64 = []Int64{{"big", 1 << 40, false}, {"end", 1 << 62, true}} }, `"big" holds 1099511627776`, "TF604"},
	{"TF604", func(s *Subject) { s.Graph.Int64 = []Int64{{"end", 1 << 62, true}} }, `"end" holds`, ""},
	{"TF605", func(s *Subject) {
		other := *s.Contract
		other.KVScale = strings.Repeat("ab", 32)
		s.Other = &other
	}, "scale of the cache's values: as the model makes them and rescaled by abababababab", ""},
}

// A sound subject is silent, and each rule is met by a case that breaks it and
// as little else as possible.
func TestRules(t *testing.T) {
	if all := Check(sound(t)); len(all) > 0 {
		t.Fatalf("of a sound subject: %+v", all)
	}
	met := map[string]bool{}
	for _, v := range cases {
		s := sound(t)
		v.change(&s)
		met[v.rule] = true
		said := false
		var others []string
		for _, f := range Check(s) {
			if f.ID != v.rule {
				if !slices.Contains(others, f.ID) {
					others = append(others, f.ID)
				}
				continue
			}
			said = said || strings.Contains(f.Message, v.says)
			if !strings.Contains(f.Message, v.says) {
				t.Logf("%s says %s", v.rule, f.Message)
			}
			if f.Fix == "" || f.Explanation == "" || f.Severity == "" {
				t.Errorf("%s: %+v lacks something", v.rule, f)
			}
		}
		if !said {
			t.Errorf("%s is silent; the others: %v", v.rule, others)
		}
		if got := strings.Join(others, " "); got != v.others {
			t.Errorf("%s: beside it %q, want %q", v.rule, got, v.others)
		}
	}
	for _, r := range Rules() {
		if !met[r.ID] {
			t.Errorf("no case breaks %s", r.ID)
		}
	}
}

// Ten thousand inputs, all misspelt, take no time that a person would notice.
func TestManyInputs(t *testing.T) {
	const n = 10_000
	c := &contract.Contract{}
	var all []profiles.Profile
	for range 8 {
		all = append(all, profiles.Profile{})
	}
	for i := range n {
		name := fmt.Sprintf("past_key_values.%d.key", i)
		c.Inputs = append(c.Inputs, contract.Tensor{Name: name, Type: "float", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Past}}})
		for p := range all {
			all[p].Inputs = append(all[p].Inputs, profiles.Range{Input: name[:len(name)-1] + "_", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{1, 1}})
		}
	}
	demand := profiles.Demand(profiles.Workload{Scenarios: []profiles.Scenario{{Name: "a", Batch: 1, PromptTokens: 10, NewTokens: 20}}})
	found := map[string]int{}
	for _, f := range Check(Subject{Contract: c, Profiles: all, Demand: demand, Backend: TensorRT}) {
		found[f.ID] += len(f.Inputs) * (1 + len(f.Also))
	}
	if found["TF101"] != 8*n || found["TF102"] != 8*n {
		t.Errorf("found %v", found)
	}
}

// Whatever a file says, nothing panics and every finding says something.
func FuzzCheck(f *testing.F) {
	seed, err := json.Marshal([]profiles.Profile{{Inputs: []profiles.Range{{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 2}, Max: []int64{1, 3}}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`[{"inputs":[{"input":"past.0.key","min":[1],"opt":[],"max":[9223372036854775807,-9223372036854775808],"values":true},{"input":""}]},{}]`))
	demand := profiles.Demand(chat)
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []profiles.Profile
		if json.Unmarshal(b, &all) != nil || len(all) > 50 {
			return
		}
		for _, backend := range Backends() {
			for _, c := range []*contract.Contract{decoder(), nil} {
				r := Examine(Subject{Contract: c, Graph: plain(), Profiles: all, Demand: demand, Backend: backend, Options: Options{EngineCache: true, Refittable: true, CUDAGraph: true, NoZero: true}}, "fuzz")
				for _, f := range r.Findings {
					if f.Message == "" || f.Fix == "" || f.Profile >= len(all) {
						t.Errorf("%+v", f)
					}
				}
				if err := r.Write(io.Discard, true); err != nil {
					t.Fatal(err)
				}
				r.JUnit(true)
			}
		}
	})
}
