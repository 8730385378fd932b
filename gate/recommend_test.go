package gate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// requests are n times around a median, as samples of a row.
func requests(r *rand.Rand, engine, scenario string, median float64, n int) rows.Row {
	out := rows.Row{Engine: engine, Scenario: scenario, Name: "e2e", Unit: "ms"}
	for range n {
		out.Samples = append(out.Samples, median*math.Exp(0.02*r.NormFloat64()))
	}
	s := stats.Median(out.Samples)
	out.Value, out.Lo, out.Hi, out.N = s.Value, s.Lo, s.Hi, s.N
	return out
}

var (
	family = []Engine{
		{Name: "fp32", Backend: "ortcpu", Precision: "fp32", BuildMS: 70, Bytes: 400},
		{Name: "fp16", Backend: "ortcpu", Precision: "fp16", NoSpeed: "FP16 runs in FP32"},
		{Name: "int8", Backend: "ortcpu", Precision: "int8", BuildMS: 900, Bytes: 100, Note: "no VNNI"},
		{Name: "broken", Backend: "ortcpu", Precision: "int8"},
		{Name: "plan", Backend: "rtx", Precision: "fp16", Idle: "needs a GPU"},
		{Name: "eager", Backend: "pytorch", Precision: "fp32"},
	}
	chats = []profiles.Scenario{{Name: "short", Batch: 1, PromptTokens: 8, NewTokens: 8}, {Name: "long", Batch: 4, PromptTokens: 99, NewTokens: 20, Weight: 3}}
)

func familyRows() []rows.Row {
	r := rand.New(rand.NewPCG(1, 2))
	all := []rows.Row{measured("fp32", "prefill", "ppl_ratio", 1, 0), measured("int8", "decode", "ppl_ratio", 1.02, 0.001), measured("int8", "decode", "kl_top64_mean", 0.003, 0)}
	for i, factor := range []float64{2, 1.99, 1, 0.5, 0.1} {
		name := []string{"fp32", "fp16", "int8", "broken", "eager"}[i]
		all = append(all, requests(r, name, "short", 10*factor, 30), requests(r, name, "long", 100*factor, 30))
	}
	return all
}

func passing() []Verdict {
	return []Verdict{
		{Engine: "fp32", Gate: "ppl_ratio_max", Status: Pass}, {Engine: "fp16", Gate: "ppl_ratio_max", Status: Pass},
		{Engine: "fp16", Gate: "speedup_min", Status: NotEvaluated, Exempt: true},
		{Engine: "int8", Gate: "ppl_ratio_max", Status: Pass}, {Engine: "broken", Gate: "ppl_ratio_max", Phase: "decode", Status: Fail},
	}
}

func TestRecommend(t *testing.T) {
	got := Recommend(family, passing(), chats, familyRows())
	if len(got) != 3 {
		t.Fatalf("%d choices, want one for all scenarios and one for each: %+v", len(got), got)
	}
	for i, scenario := range []string{"", "short", "long"} {
		c := got[i]
		if c.Scenario != scenario || c.Engine != "int8" || c.Over != "fp32" || c.RunnerUp != "fp16" && c.RunnerUp != "fp32" || !c.Resolved || c.Note != "no VNNI" {
			t.Errorf("choice %d: %+v", i, c)
		}
		if s := c.Speedup; math.Abs(float64(s.Value)-2) > 0.03 || s.Lo > 2 || s.Hi < 2 || s.Hi-s.Lo > 0.1 {
			t.Errorf("choice %d: speed-up %+v, the times were made 2 apart", i, s)
		}
		if len(c.Left) != 1 || c.Left[0].Engine != "broken" || !strings.Contains(c.Left[0].Reason, "ppl_ratio_max decode") {
			t.Errorf("choice %d left out %+v", i, c.Left)
		}
		if c.Cost.Bytes != 100 || c.Cost.PPLRatio != 1.02 || c.Cost.KL != 0.003 {
			t.Errorf("choice %d costs %+v", i, c.Cost)
		}
	}
	// 900 ms of build, 10 ms saved each: 90 requests of 8 tokens.
	if c := got[1].Cost; math.Abs(float64(c.Requests.Value)-90) > 3 || math.Abs(float64(c.Tokens.Value/c.Requests.Value)-8) > 1e-9 || c.Requests.Lo > 90 || c.Requests.Hi < 90 {
		t.Errorf("break-even %+v", c.Requests)
	}
	b, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(b), `"speedup"`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestRecommendLeavesOut(t *testing.T) {
	all := familyRows()
	for i := range all {
		switch {
		case all[i].Engine == "int8" && all[i].Scenario == "long":
			all[i] = rows.Row{Engine: "int8", Scenario: "long", Name: "failed", Unit: "1", Value: 3, N: 30, Warnings: []string{"shape (3): past 40 is outside"}}
		case all[i].Engine == "fp16" && all[i].Scenario == "short":
			all[i].Warnings = []string{"kv: host"}
		}
	}
	got := Recommend(family, passing(), chats, all)
	for i, want := range []string{"fp32", "int8", "fp"} {
		if !strings.HasPrefix(got[i].Engine, want) {
			t.Errorf("%q: %s is recommended, want %s", got[i].Scenario, got[i].Engine, want)
		}
	}
	var reasons []string
	for _, l := range got[0].Left {
		reasons = append(reasons, l.Engine+": "+l.Reason)
	}
	text := strings.Join(reasons, "\n")
	for _, part := range []string{"int8: 3 of 30 requests of long failed: shape (3)", "fp16: its cache goes over the host"} {
		if !strings.Contains(text, part) {
			t.Errorf("left out are\n%s\nwhich does not say %q", text, part)
		}
	}
	open := append(passing()[:3:3], Verdict{Engine: "int8", Gate: "ppl_ratio_max", Status: NotEvaluated, Reason: "not measured"})
	got = Recommend(family, open, chats, familyRows())
	if got[0].Engine == "int8" || Recommend(family, nil, chats, familyRows())[0].Engine != "" {
		t.Errorf("an engine whose accuracy nobody measured is recommended: %+v", got[0])
	}
	if s := Recommend(family, nil, chats, familyRows())[0].String(); !strings.Contains(s, "nothing to deploy") {
		t.Error(s)
	}
}

// Two engines alike are not told apart, and models and machines are not mixed.
func TestRecommendIsSureOnlyOfWhatItKnows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	all := []rows.Row{requests(r, "fp32", "short", 10, 12), requests(r, "int8", "short", 9.99, 12)}
	pass := []Verdict{{Engine: "fp32", Status: Pass}, {Engine: "int8", Status: Pass}}
	got := Recommend(family[:3], pass, nil, all)
	if len(got) != 1 || got[0].Resolved || !strings.Contains(got[0].String(), "may be as fast") {
		t.Errorf("%+v", got)
	}
	apart := []Engine{family[0], family[2]}
	apart[1].Group = "another machine"
	got = Recommend(apart, pass, nil, all)
	if len(got) != 2 || got[0].Engine != "fp32" || got[1].Engine != "int8" || got[1].Speedup != nil {
		t.Errorf("engines of two machines: %+v", got)
	}
}

// The study's own figures: an INT8 engine that took 240 s to build, 2,121 tok/s
// without it and 6,284 with it, has earned its build after 768,355 tokens.
func TestBreakEvenOfTheStudy(t *testing.T) {
	cost := &Cost{}
	cost.earn(240e3, []profiles.Scenario{{Batch: 1, NewTokens: 1}}, []rows.Row{{Value: 1e3 / 2121}}, []rows.Row{{Value: 1e3 / 6284}})
	if got := float64(cost.Tokens.Value); math.Abs(got/768355-1) > 1e-3 {
		t.Errorf("%g tokens, the study says 768,355", got)
	}
	slower := &Cost{}
	slower.earn(240e3, chats[:1], []rows.Row{{Value: 1}}, []rows.Row{{Value: 2}})
	if !math.IsInf(float64(slower.Tokens.Value), 1) {
		t.Errorf("an engine that is slower pays after %v tokens", slower.Tokens.Value)
	}
}

// The interval of a mean over scenarios must cover as the intervals it is made of.
func TestGeometricCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	covered, trials := 0, 600
	for range trials {
		var ratios []rows.Row
		for range 6 {
			a, b := requests(r, "a", "s", 3, 21), requests(r, "b", "s", 2, 21)
			a.Samples = nil // join the intervals
			ratios = append(ratios, Ratio(a, b))
		}
		if g := geometric(ratios, nil); g.Lo <= 1.5 && 1.5 <= g.Hi {
			covered++
		}
	}
	if share := float64(covered) / float64(trials); share < 0.93 {
		t.Errorf("the interval covered in %.1f %%", 100*share)
	}
}

func TestMatrix(t *testing.T) {
	rate := func(engine, phase, name string, v float64) rows.Row {
		return rows.Row{Engine: engine, Scenario: "short", Phase: phase, Name: name, Unit: "tok/s", Value: v, Lo: v * 0.9, Hi: v * 1.1, N: 9}
	}
	all := []rows.Row{
		rate("fp32", "prefill", "prefill_tok_s", 100), rate("int8", "prefill", "prefill_tok_s", 300), rate("broken", "prefill", "prefill_tok_s", 900),
		rate("eager", "prefill", "prefill_tok_s", 50), rate("fp32", "decode", "decode_tok_s", 10), rate("int8", "decode", "decode_tok_s", 9),
	}
	m := NewMatrix(family, passing(), nil, all)
	if strings.Join(m.Backends, " ") != "ortcpu rtx pytorch" || len(m.Lines) != 2 {
		t.Fatalf("%+v", m)
	}
	prefill, decode := m.Lines[0].Cells, m.Lines[1].Cells
	if prefill[0].Engine != "int8" || math.Abs(float64(prefill[0].Speedup.Value)-3) > 1e-9 || prefill[1].Reason != "needs a GPU" || prefill[2].Engine != "eager" || !prefill[2].Outside {
		t.Errorf("prefill: %+v", prefill)
	}
	if decode[0].Engine != "fp32" || decode[0].Speedup != nil || decode[2].Reason != "not measured" {
		t.Errorf("decode: %+v", decode)
	}
}

func TestOf(t *testing.T) {
	m := engine.Manifest{Backend: "ortcpu", Precision: engine.INT8, Bytes: 5, Measured: engine.Measured{BuildMS: 7}}
	if e := Of("x", m, "", "avx2"); e.Note == "" || e.BuildMS != 7 || e.Bytes != 5 {
		t.Errorf("%+v", e)
	}
	if e := Of("x", m, "", "avx2 avx512_vnni"); e.Note != "" {
		t.Errorf("%+v", e)
	}
	m.Precision = engine.FP16
	if e := Of("x", m, "", ""); e.NoSpeed == "" {
		t.Errorf("%+v", e)
	}
	m.Backend = "rtx"
	if e := Of("x", m, "", ""); e.NoSpeed != "" {
		t.Errorf("%+v", e)
	}
}
