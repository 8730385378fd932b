package gate

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

// Every limit on the side where it passes and on the side where it fails.
func TestEveryGate(t *testing.T) {
	one := []Engine{{Name: "fp32", Backend: "b", Precision: "fp32"}, {Name: "fp16", Backend: "b", Precision: "fp16"}, {Name: "e", Backend: "b", Precision: "int8"}}
	in := func(scenario string, r rows.Row) rows.Row {
		r.Scenario = scenario
		return r
	}
	for _, c := range []struct {
		gate       string
		pass, fail float64
		rows       []rows.Row
		value      float64
	}{
		{"ppl_ratio_max", 1.03, 1.01, []rows.Row{measured("e", "decode", "ppl_ratio", 1.02, 0.02)}, 1.02},
		{"ppl_ratio_hi_max", 1.05, 1.03, []rows.Row{measured("e", "decode", "ppl_ratio", 1.02, 0.02)}, 1.04},
		{"kl_mean_max", 0.02, 0.005, []rows.Row{measured("e", "decode", "kl_top64_mean", 9, 0), measured("e", "decode", "kl_full_mean", 0.01, 0)}, 0.01},
		{"kl_p99_max", 0.2, 0.05, []rows.Row{measured("e", "decode", "kl_top64_p99", 0.1, 0)}, 0.1},
		{"top1_min", 0.98, 0.995, []rows.Row{measured("e", "decode", "top1_agreement", 0.99, 0)}, 0.99},
		{"top5_min", 0.98, 0.995, []rows.Row{measured("e", "decode", "top5_agreement", 0.99, 0)}, 0.99},
		{"logit_error_max", 1, 0.1, []rows.Row{measured("e", "decode", "logit_error_max", 0.5, 0)}, 0.5},
		{"greedy_match_min", 20, 40, []rows.Row{measured("e", "decode", "greedy_match", 32, 0)}, 32},
		{"speedup_min", 1.9, 2.1, []rows.Row{timed("fp32", "s", 20), timed("e", "s", 10)}, 2},
		{"speedup_over_fp16_min", 1.4, 1.6, []rows.Row{timed("fp32", "s", 20), timed("fp16", "s", 15), timed("e", "s", 10)}, 1.5},
		{"bytes_max", 200, 50, []rows.Row{measured("e", "", "engine_bytes", 100, 0)}, 100},
		{"memory_max", 1000, 800, []rows.Row{in("s", measured("e", "", "peak_rss", 700, 0)), in("l", measured("e", "", "peak_rss", 900, 0))}, 900},
		{"ttft_max", 10, 8, []rows.Row{in("s", measured("e", "prefill", "ttft", 7, 0)), in("l", measured("e", "prefill", "ttft", 9, 0))}, 9},
		{"tpot_max", 10, 8, []rows.Row{in("s", measured("e", "decode", "tpot", 9, 0)), in("l", measured("e", "decode", "tpot", 7, 0))}, 9},
	} {
		for status, limit := range map[Status]float64{Pass: c.pass, Fail: c.fail} {
			var found bool
			for _, v := range Evaluate(one, map[string]Limits{"int8": {c.gate: limit}}, c.rows) {
				if v.Status == NotEvaluated {
					continue
				}
				found = true
				if v.Status != status || math.Abs(v.Value-c.value) > 1e-9 || v.Evidence == "" {
					t.Errorf("%s %g: %+v, want %s of %g", c.gate, limit, v, status, c.value)
				}
			}
			if !found {
				t.Errorf("%s is not evaluated", c.gate)
			}
		}
		if got := Evaluate(one, map[string]Limits{"int8": {c.gate: 1}}, nil)[0]; got.Status != NotEvaluated || got.Reason == "" {
			t.Errorf("%s without rows: %+v", c.gate, got)
		}
	}
	if len(specs) != 14 {
		t.Errorf("%d gates, and this test knows 14", len(specs))
	}
}

func TestWorstScenarioIsNamed(t *testing.T) {
	e := []Engine{{Name: "e", Backend: "b", Precision: "int8", Note: "no VNNI"}}
	all := []rows.Row{{Engine: "e", Scenario: "bad", Phase: "decode", Name: "tpot", Value: math.NaN()}, {Engine: "e", Scenario: "good", Phase: "decode", Name: "tpot", Value: 1}}
	v := Evaluate(e, map[string]Limits{"int8": {"tpot_max": 5}}, all)[0]
	if v.Status != Fail || v.Scenario != "bad" || !strings.Contains(v.Evidence, "in bad") || v.Note != "no VNNI" {
		t.Errorf("%+v", v)
	}
}

// The CPU's FP16 is exempt from speed, and no measure for others either.
func TestExempt(t *testing.T) {
	limits := map[string]Limits{"fp16": {"speedup_min": 1}, "int8": {"speedup_over_fp16_min": 1}}
	all := []rows.Row{timed("cpu-fp32", "a", 4), timed("cpu-fp16", "a", 9), timed("cpu-int8", "a", 2)}
	for _, v := range Evaluate(engines[:3], limits, all) {
		if v.Status != NotEvaluated || !v.Exempt {
			t.Errorf("%+v", v)
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gates.toml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[model]\npath = \"x\"\n[gate.int8]\nppl_ratio_max = 1.1\nspeedup_min = 1\n[gate.fp16]\nttft_max = 12.5\n")
	got, err := ReadFile(path)
	if err != nil || got["int8"]["speedup_min"] != 1 || got["fp16"]["ttft_max"] != 12.5 {
		t.Errorf("%v %v", got, err)
	}
	if s := Study(got); s["int8"]["ppl_ratio_max"] != 1.1 || s["fp16"]["ppl_ratio_max"] != 1.05 || s["fp16"]["ttft_max"] != 12.5 || got["fp16"]["ppl_ratio_max"] != 0 {
		t.Errorf("%v of %v", s, got)
	}
	for text, parts := range map[string][]string{
		"x = 1":                         {"no [gate.PRECISION]"},
		"[gate.int8]\nppl = ":           {"gates.toml:2"},
		"[gate.int8]\nspeedup = 2":      {"no gate is called speedup"},
		"[gate.int9]\nbytes_max = \"\"": {"no engine has that precision", "bytes_max is no number"},
		"gate = 3":                      {"gate"},
	} {
		write(text)
		_, err := ReadFile(path)
		for _, part := range parts {
			if fault.Exit(err) != 2 || !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v, want %q", text, err, part)
			}
		}
	}
	if _, err := ReadFile(path + ".not"); fault.Exit(err) != 2 {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[gate.int8]\nppl_ratio_max = 1.1\n")
	f.Add("[gate]\nint8 = {kl_mean_max = 1e-3, bytes_max = 5}\n")
	f.Add("gate = [1]\n")
	f.Fuzz(func(t *testing.T, text string) {
		limits, err := Parse("gates.toml", text)
		if err != nil && fault.Exit(err) != 2 {
			t.Errorf("%v is of another class than usage", err)
		}
		if err == nil && len(limits) == 0 {
			t.Error("no limits and no error")
		}
	})
}

func TestBuildServers(t *testing.T) {
	verdicts := []Verdict{
		{Engine: "a", Gate: "ppl_ratio_max", Phase: "decode", Status: Fail, Evidence: "1.4, asked at most 1.1"},
		{Engine: "a", Gate: "speedup_min", Status: Pass, Evidence: "2", Note: "no VNNI"},
		{Engine: "b", Gate: "ppl_ratio_max", Phase: "prefill", Status: NotEvaluated, Reason: "needs a GPU"},
		{Engine: "b", Gate: "ppl_ratio_max", Phase: "decode", Status: NotEvaluated, Reason: "needs a GPU"},
		{Engine: "c", Gate: "speedup_min", Status: NotEvaluated, Reason: "exempt", Exempt: true},
	}
	s := JUnit("gates", verdicts)
	if len(s.Cases) != 5 || s.Cases[0].Failure == "" || s.Cases[2].Skipped == "" || !strings.Contains(s.Cases[1].Output, "VNNI") {
		t.Errorf("%+v", s)
	}
	var b bytes.Buffer
	if err := Annotate(&b, "pipeline.toml", verdicts); err != nil {
		t.Fatal(err)
	}
	want := "::error file=pipeline.toml,title=a decode ppl_ratio_max::1.4, asked at most 1.1\n" +
		"::notice file=pipeline.toml,title=not evaluated%3A needs a GPU::b prefill ppl_ratio_max, b decode ppl_ratio_max\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
