package gate

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

func measured(engine, phase, name string, value, spread float64) rows.Row {
	return rows.Row{Engine: engine, Phase: phase, Name: name, Value: value, Lo: value - spread, Hi: value + spread, N: 9}
}

func timed(engine, scenario string, value float64) rows.Row {
	r := measured(engine, "", "e2e", value, value/100)
	r.Scenario = scenario
	return r
}

var engines = []Engine{
	{Name: "cpu-fp32", Backend: "ortcpu", Precision: "fp32"},
	{Name: "cpu-fp16", Backend: "ortcpu", Precision: "fp16", NoSpeed: "the CPU computes FP16 in FP32"},
	{Name: "cpu-int8", Backend: "ortcpu", Precision: "int8"},
	{Name: "rtx-int8", Backend: "rtx", Precision: "int8", Idle: "needs a GPU"},
}

func TestEvaluate(t *testing.T) {
	limits := map[string]Limits{
		"fp16": {"speedup_min": 1, "ppl_ratio_max": 1.05},
		"int8": {"ppl_ratio_max": 1.1, "kl_mean_max": 0.01, "speedup_min": 1.2},
	}
	all := []rows.Row{
		measured("cpu-fp16", "prefill", "ppl_ratio", 1.04, 0.02),
		measured("cpu-fp16", "decode", "ppl_ratio", math.NaN(), 0),
		measured("cpu-int8", "prefill", "ppl_ratio", 1.02, 0.01),
		measured("cpu-int8", "decode", "ppl_ratio", 1.4, 0.01),
		measured("cpu-int8", "prefill", "kl_top64_mean", 0.004, 0.001),
		timed("cpu-fp32", "a", 40), timed("cpu-fp32", "b", 90),
		timed("cpu-int8", "a", 20), timed("cpu-int8", "b", 80),
		timed("cpu-fp16", "a", 1), timed("rtx-int8", "a", 1), // never compared
	}
	want := []string{
		"cpu-fp16 prefill ppl_ratio_max pass", "cpu-fp16 decode ppl_ratio_max fail",
		"cpu-fp16  speedup_min not_evaluated the CPU computes FP16 in FP32",
		"cpu-int8 prefill ppl_ratio_max pass", "cpu-int8 decode ppl_ratio_max fail",
		"cpu-int8 prefill kl_mean_max pass", "cpu-int8 decode kl_mean_max not_evaluated not measured",
		"cpu-int8  speedup_min pass",
		"rtx-int8 prefill ppl_ratio_max not_evaluated needs a GPU", "rtx-int8 decode ppl_ratio_max not_evaluated needs a GPU",
		"rtx-int8 prefill kl_mean_max not_evaluated needs a GPU", "rtx-int8 decode kl_mean_max not_evaluated needs a GPU",
		"rtx-int8  speedup_min not_evaluated needs a GPU",
	}
	got := Evaluate(engines, limits, all)
	if len(got) != len(want) {
		t.Fatalf("%d verdicts, want %d: %+v", len(got), len(want), got)
	}
	for i, v := range got {
		line := strings.TrimSpace(v.Engine + " " + v.Phase + " " + v.Gate + " " + string(v.Status) + " " + v.Reason)
		if line != want[i] {
			t.Errorf("verdict %d is %q, want %q", i, line, want[i])
		}
	}
	if v := got[7]; math.Abs(v.Value-1.5) > 1e-12 || v.Lo >= 1.5 || v.Hi <= 1.5 {
		t.Errorf("speed-up %+v, want the geometric mean of 2 and 1.125", v)
	}
	if !strings.Contains(got[0].Evidence, "reaches beyond") || strings.Contains(got[3].Evidence, "reaches beyond") {
		t.Errorf("evidence: %q and %q", got[0].Evidence, got[3].Evidence)
	}
	if err := Err(got); fault.Exit(err) != 1 || !strings.Contains(err.Error(), "cpu-int8 decode") {
		t.Errorf("the error is %v", err)
	}
	if Err(got) == nil || Err(got[:1]) != nil {
		t.Error("one failed gate is a failure, none is not")
	}
}

// A failure says what can be done, for each kind of engine and limit, and where the
// limits are set.
func TestFailureSaysWhatIsNext(t *testing.T) {
	failed := func(engine, precision, limit string) Verdict {
		return Verdict{Engine: engine, Precision: precision, Gate: limit, Phase: "decode", Status: Fail, Limit: 1, Evidence: "2, asked at most 1"}
	}
	for name, c := range map[string]struct {
		verdicts []Verdict
		want     []string
	}{
		"int8":  {[]Verdict{failed("a", "int8", "ppl_ratio_max"), failed("a", "int8", "kl_mean_max")}, []string{"quantize less of a (", "--exclude", "or set ppl_ratio_max, kl_mean_max under [gate.int8]"}},
		"fp16":  {[]Verdict{failed("a", "fp16", "top1_min")}, []string{"--table", "top1_min under [gate.fp16]"}},
		"fp32":  {[]Verdict{failed("a", "fp32", "ppl_ratio_max")}, []string{"one checkpoint", "[gate.fp32]"}},
		"speed": {[]Verdict{failed("a", "int8", "tpot_max"), failed("a", "int8", "speedup_min")}, []string{"tpot of a", "e2e of a", "--until", "tpot_max, speedup_min under"}},
		"size":  {[]Verdict{failed("a", "int8", "bytes_max")}, []string{"quantize more of a"}},
		"flaw":  {[]Verdict{failed("a", "int8", "nonfinite")}, []string{"mend the graph of a"}},
	} {
		var e *fault.Error
		if !errors.As(Err(append(c.verdicts, Verdict{Engine: "b", Status: Pass})), &e) {
			t.Fatalf("%s: no failure", name)
		}
		for _, want := range c.want {
			if !strings.Contains(e.Fix, want) {
				t.Errorf("%s: %q lacks %q", name, e.Fix, want)
			}
		}
		if strings.Count(e.Fix, "quantize less") > 1 || name == "flaw" && strings.Contains(e.Fix, "or set") {
			t.Errorf("%s: %q", name, e.Fix)
		}
	}
}

func TestSpeedNeedsABaseline(t *testing.T) {
	got := Evaluate(engines[2:3], map[string]Limits{"int8": {"speedup_min": 1}}, []rows.Row{timed("cpu-int8", "a", 20)})
	if got[0].Status != NotEvaluated || !strings.Contains(got[0].Reason, "no fp32 engine") {
		t.Errorf("got %+v", got[0])
	}
	got = Evaluate(engines[:3], map[string]Limits{"int8": {"speedup_min": 1}}, []rows.Row{timed("cpu-int8", "a", 20)})
	if got[0].Status != NotEvaluated || got[0].Reason != "not measured" || got[0].Exempt {
		t.Errorf("got %+v", got[0])
	}
}

func TestCheck(t *testing.T) {
	if err := Check("int8", Limits{"ppl_ratio_max": 1.1, "speedup_min": 1}); err != nil {
		t.Error(err)
	}
	err := Check("int8", Limits{"ppl_max": 1, "kl_mean_max": -1, "speedup_min": math.NaN()})
	if fault.Exit(err) != 2 {
		t.Fatalf("got %v, want an error of class usage", err)
	}
	for _, part := range []string{"ppl_max", "kl_mean_max = -1", "speedup_min = NaN"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestVerdictsInJSON(t *testing.T) {
	for _, v := range []Verdict{
		{Engine: "a", Precision: "int8", Gate: "kl_mean_max", Phase: "decode", Status: Pass, Limit: 0.1, Value: 0, Lo: math.Inf(-1), Hi: math.Inf(1), Evidence: "x"},
		{Engine: "b", Gate: "speedup_min", Status: NotEvaluated, Limit: 1, Reason: "needs a GPU"},
	} {
		b, err := json.Marshal([]Verdict{v})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "value") != (v.Status == Pass) {
			t.Errorf("%s", b)
		}
		var back []Verdict
		if err := json.Unmarshal(b, &back); err != nil || back[0] != v {
			t.Errorf("%s reads as %+v, %v", b, back, err)
		}
	}
	b, err := json.Marshal(Verdict{Status: Fail, Value: math.NaN()})
	var back Verdict
	if err != nil || json.Unmarshal(b, &back) != nil || !math.IsNaN(back.Value) {
		t.Errorf("%s, %v reads as %+v", b, err, back)
	}
	if json.Unmarshal([]byte(`{"value":"many"}`), &back) == nil {
		t.Error("a value that is no number was read")
	}
}

func TestSpeedOfAnEngineThatFailedAScenarioIsNotEvaluated(t *testing.T) {
	all := []rows.Row{timed("cpu-fp32", "a", 40), timed("cpu-fp32", "slow", 90), timed("cpu-int8", "a", 20)}
	got := Evaluate(engines[:3], map[string]Limits{"int8": {"speedup_min": 1}}, all)
	if len(got) != 1 || got[0].Status != NotEvaluated {
		t.Errorf("%+v", got)
	}
}
