package format

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/golden"
)

// run is two engines at a scenario, one of them in two modes and with a failure.
func run() Run {
	var all []bench.Sample
	for i := range 8 {
		for e, name := range []string{"ortcpu-fp32", "ortcpu-int8"} {
			took := (10 + 0.25*float64((i*5)%8)) / float64(e+1)
			s := bench.Sample{Engine: name, Scenario: "chat me", Mode: bench.Cached, Batch: 2, PromptTokens: 8, NewTokens: 3, Round: i / 2,
				TTFT: took / 2, E2E: took, Gaps: []float64{took / 4, took / 4}, Run: took * 0.98, PeakRSS: 100 << 20}
			if i == 0 {
				s.Load = 30
			}
			all = append(all, s)
		}
		u := bench.Sample{Engine: "ortcpu-fp32", Scenario: "chat me", Mode: bench.Uncached, Batch: 2, PromptTokens: 8, NewTokens: 3, TTFT: 5, E2E: 15, Gaps: []float64{5, 5},
			Warnings: []string{"the cgroup's quota held the CPU back"}}
		all = append(all, u)
	}
	all = append(all, bench.Sample{Engine: "ortcpu-int8", Scenario: "chat me", Mode: bench.Cached, Batch: 2, PromptTokens: 8, NewTokens: 3,
		Failure: &bench.Failure{Class: bench.Memory, Cause: "std::bad_alloc"}})
	return Run{
		Samples: all, Rows: bench.Rows(all), CreatedBy: "trtforge v1.0.0", Created: time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC),
		Machine: bench.Machine{Kind: "machine", SchemaVersion: 1, CPU: "Fast CPU", Cores: 4, Threads: 2, OS: "linux/amd64"},
		Engines: []Engine{{Name: "ortcpu-fp32", Backend: "ortcpu", Precision: "fp32", Bytes: 1000, File: "fp32/model.onnx"}},
	}
}

func written(t *testing.T, name string) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, name, run()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	for _, name := range Names {
		golden.Check(t, filepath.Join("testdata", name+".golden"), written(t, name))
	}
	if err := Write(&bytes.Buffer{}, "xml", run()); err == nil || !strings.Contains(err.Error(), "benchfmt") {
		t.Errorf("an unknown format gives %v", err)
	}
}

// golang.org/x/perf reads what Benchfmt wrote, and finds the medians of our rows.
func TestBenchstatReadsIt(t *testing.T) {
	r := benchfmt.NewReader(strings.NewReader(written(t, "benchfmt")), "bench.txt")
	found := map[string][]float64{}
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(rec)
		case *benchfmt.Result:
			if rec.GetConfig("cpu") != "Fast CPU" || rec.GetConfig("goos") != "linux" {
				t.Errorf("configuration %+v", rec.Config)
			}
			for _, unit := range []string{"sec/op", "sec/ttft", "sec/tpot", "decode-tok/s"} {
				v, ok := rec.Value(unit)
				if !ok {
					t.Errorf("%s has no %s", rec.Name, unit)
				}
				found[rec.Name.String()+" "+unit] = append(found[rec.Name.String()+" "+unit], v)
			}
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	if r.Units().GetBetter("decode-tok/s") != 1 {
		t.Error("nobody is told that more tokens per second are better")
	}
	name := "Chat_me/engine=ortcpu-int8/mode=cached/batch=2-2 sec/op"
	v := found[name]
	if len(v) != 8 {
		t.Fatalf("%d results of %s among %d", len(v), name, len(found))
	}
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(v, &benchmath.DefaultThresholds), 0.95)
	for _, row := range run().Rows {
		if row.Engine == "ortcpu-int8" && row.Name == bench.E2E && math.Abs(row.Value/1000-s.Center) > 1e-12 {
			t.Errorf("benchstat's median is %g s, ours %g ms", s.Center, row.Value)
		}
	}
}

func TestCSVIsRegular(t *testing.T) {
	lines, err := csv.NewReader(strings.NewReader(written(t, "csv"))).ReadAll()
	if err != nil || len(lines) != len(run().Rows)+1 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	asked := 0
	for _, line := range lines[1:] {
		if line[1] == "" {
			continue
		}
		if asked++; !slices.Equal(line[2:5], []string{"2", "8", "3"}) {
			t.Errorf("%s is asked for as %q", line[1], line[2:5])
		}
	}
	if asked == 0 {
		t.Error("no line is of a scenario")
	}
	r := run()
	r.Samples[0].PromptTokens = 9 // a trace: its requests have no prompt length in common
	if got := r.asked()["chat me"]; got != [3]string{"2", "", "3"} {
		t.Errorf("of requests of two lengths %q", got)
	}
}

// The fields of llama-bench that tools read, by its README, and its sums.
func TestLlamaBench(t *testing.T) {
	var tests []map[string]any
	if err := json.Unmarshal([]byte(written(t, "llama-bench")), &tests); err != nil {
		t.Fatal(err)
	}
	if len(tests) != 4 {
		t.Fatalf("%d tests, want pp and tg of two engines", len(tests))
	}
	pp, tg := tests[0], tests[1]
	if pp["n_prompt"] != 8.0 || pp["n_gen"] != 0.0 || tg["n_prompt"] != 0.0 || tg["n_gen"] != 2.0 || tg["n_depth"] != 8.0 {
		t.Errorf("tests %v and %v", pp, tg)
	}
	ns, ts := pp["samples_ns"].([]any), pp["samples_ts"].([]any)
	if len(ns) != 8 || math.Abs(ts[0].(float64)-16/(ns[0].(float64)/1e9)) > 1e-6 {
		t.Errorf("samples %v and %v", ns, ts)
	}
	for _, field := range []string{"build_commit", "cpu_info", "backends", "model_filename", "model_type", "n_threads", "test_time", "avg_ns", "stddev_ns", "avg_ts", "stddev_ts"} {
		if _, found := pp[field]; !found {
			t.Errorf("no field %s", field)
		}
	}
}

// Each line is what AIPerf's readers look for: a metric is an object with a unit and
// an average.
func TestAIPerf(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(written(t, "aiperf")), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d objects, want 3", len(lines))
	}
	for _, line := range lines {
		var o map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"request_latency", "time_to_first_token", "inter_token_latency", "output_token_throughput", "request_throughput", "request_count",
			"input_sequence_length", "output_sequence_length", "output_token_throughput_per_user", "prefill_throughput_per_user"} {
			var m struct {
				Unit string
				Avg  *float64
			}
			if err := json.Unmarshal(o[name], &m); err != nil || m.Unit == "" || m.Avg == nil || *m.Avg <= 0 {
				t.Errorf("%s is %s (%v)", name, o[name], err)
			}
		}
	}
	if !strings.Contains(lines[1], `"error_request_count"`) || strings.Contains(lines[0], `"error_request_count"`) {
		t.Error("failures are not where they belong")
	}
}
