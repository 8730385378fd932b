package pipeline

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
)

func TestSummaryTable(t *testing.T) {
	r := sampleSummary()
	r.Dir = "build/demo"
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 shapes", "2 profiles (phase)", "106.250", "\nreport: build/demo/report.html\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
	var cells [][]string
	for _, line := range strings.Split(b.String(), "\n") {
		if f := strings.Fields(line); len(f) > 1 && (strings.HasPrefix(f[0], "ortcpu") || strings.HasPrefix(f[0], "rtx")) {
			cells = append(cells, f)
		}
	}
	want := [][]string{
		{"ortcpu-int8", "11.9", "106.270", "+Inf", "+Inf", "NaN", "3.50", "1.500", "pass"},
		{"rtx-int8", "0.0", "-", "-", "-", "-", "-", "-", "not", "evaluated"},
	}
	if d := cmp.Diff(want, cells); d != "" {
		t.Errorf("%s\n%s", d, &b)
	}
}

func TestVerdictIsTheWorst(t *testing.T) {
	for want, of := range map[string][]gate.Status{
		"no gate": nil, "pass": {gate.Pass}, "pass (1 of 2)": {gate.Pass, gate.NotEvaluated}, "FAIL": {gate.Pass, gate.Fail, gate.NotEvaluated}, "not evaluated": {gate.NotEvaluated},
	} {
		r := &Result{Verdicts: []gate.Verdict{{Engine: "another", Status: gate.Fail}}}
		for _, s := range of {
			r.Verdicts = append(r.Verdicts, gate.Verdict{Engine: "e", Status: s})
		}
		if got := r.verdict("e"); got != want {
			t.Errorf("%v: %q, want %q", of, got, want)
		}
	}
}

func TestFailedGateIsExitOne(t *testing.T) {
	r := sampleSummary()
	if err := r.Err(); err != nil {
		t.Errorf("nothing failed, and yet: %v", err)
	}
	r.Measured.Verdicts[0].Status, r.Measured.Verdicts[0].Evidence = gate.Fail, "INT8 is slower"
	r.Verdicts[0].Status, r.Verdicts[0].Evidence = gate.Fail, "perplexity doubled"
	err := r.Err()
	if fault.Exit(err) != 1 || !strings.Contains(err.Error(), "slower") || !strings.Contains(err.Error(), "doubled") {
		t.Errorf("exit status %d: %v", fault.Exit(err), err)
	}
}

// measured is what three engines left: timings differ from run to run.
func measured(t *testing.T, ttft float64) report.Data {
	t.Helper()
	d := report.Data{}
	for _, name := range []string{"ortcpu-fp32", "ortcpu-int8", "rtx-int8"} {
		m := engine.Manifest{Backend: name[:strings.Index(name, "-")], Precision: engine.INT8, Achieved: engine.INT8, Bytes: 5, FileDigest: "d"}
		m.Measured.BuildMS = ttft * 7
		d.Engines = append(d.Engines, report.Engine{Name: name, Manifest: m})
		for _, phase := range []string{"prefill", "decode"} {
			for what, value := range map[string]float64{"perplexity": 12, "perplexity_reference": 11.5, "ppl_ratio": 1.04, "kl_top64_mean": 0.01, "top1_agreement": 0.9} {
				d.Rows = append(d.Rows, rows.Row{Engine: name, Phase: phase, Name: what, Value: value})
			}
		}
		d.Rows = append(d.Rows,
			rows.Row{Engine: name, Scenario: "a", Phase: "prefill", Name: "ttft", Value: ttft},
			rows.Row{Engine: name, Scenario: "b", Phase: "prefill", Name: "ttft", Value: 2 * ttft},
			rows.Row{Engine: name, Scenario: "c", Phase: "prefill", Name: "ttft", Value: math.NaN()})
	}
	limits := map[string]gate.Limits{"int8": {"ppl_ratio_max": 1.1, "kl_mean_max": 0.1, "speedup_min": 1}}
	d.Verdicts = gate.Evaluate([]gate.Engine{{Name: "ortcpu-fp32", Backend: "ortcpu", Precision: "fp32"}, {Name: "ortcpu-int8", Backend: "ortcpu", Precision: "int8"}}, limits, d.Rows)
	return d
}

var weightedScenarios = []profiles.Scenario{{Name: "a", Weight: 3}, {Name: "b", Weight: 1}, {Name: "c", Weight: 5}}

// Two runs that measured other times have the same summary but for its measured
// part, byte for byte, in whatever order maps are walked.
func TestSummaryIsDeterministic(t *testing.T) {
	summary := func(ttft float64) string {
		r := &Result{Kind: "summary", SchemaVersion: 1}
		r.fill(measured(t, ttft), weightedScenarios)
		if len(r.Measured.Engines) != 3 || r.Verdicts == nil {
			t.Fatalf("nothing to compare: %+v", r)
		}
		r.Measured = Measured{}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := summary(10)
	for i := range 20 {
		if got := summary(10 + float64(i)); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}

func TestSummaryFigures(t *testing.T) {
	r := &Result{}
	r.fill(measured(t, 10), weightedScenarios)
	want := Accuracy{Perplexity: 12, Ratio: 1.04, KL: 0.01, Top1: 0.9}
	if d := cmp.Diff(map[string]Accuracy{"prefill": want, "decode": want}, r.Engines[1].Accuracy); d != "" {
		t.Error(d)
	}
	// By weight, without the scenario that has no time: (3*10 + 1*20) / 4.
	if got := r.Measured.Engines["ortcpu-int8"].TTFT; got != 12.5 {
		t.Errorf("TTFT %v, want 12.5", got)
	}
	for _, v := range r.Verdicts {
		if gate.IsSpeed(v.Gate) {
			t.Errorf("%s is measured, and stands outside of it", v.Gate)
		}
	}
	if len(r.Measured.Verdicts) != 1 {
		t.Errorf("%d verdicts of speed, want 1", len(r.Measured.Verdicts))
	}
}
