package jobs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/validate"
)

// pretended is the worker of plans on a machine whose TensorRT and CUDA are played: all
// that is ours runs, on real logits.
func pretended(t *testing.T, env ...string) Caller {
	t.Helper()
	python := testenv.Python(t, "oracle-trt") // numpy and ONNX Runtime
	cc, err := exec.LookPath("cc")
	if err != nil {
		testenv.Lacking(t, "cc", "a C compiler plays the CUDA runtime")
	}
	fake, err := filepath.Abs(filepath.Join("testdata", "gpu"))
	if err != nil {
		t.Fatal(err)
	}
	lib := filepath.Join(t.TempDir(), "libcudart.so")
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", lib, filepath.Join(fake, "cudart.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := &worker.Client{Kind: worker.Plan, Options: worker.Options{Python: python, Cache: t.TempDir(), Log: t.Output(),
		Env: append([]string{"PYTHONPATH=" + fake, "TRTFORGE_CUDART=" + lib, "PYTHONDONTWRITEBYTECODE=1"}, env...)}}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// planOf is a plan that the played TensorRT runs: of a graph, for that work.
func planOf(t *testing.T, graph Model, scenarios ...profiles.Scenario) Model {
	t.Helper()
	p, err := profiles.Derive(graph.Contract, profiles.Workload{Scenarios: scenarios}, profiles.Options{Strategy: strategyOf(graph)})
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"model": graph.Path, "profiles": p.Profiles})
	if err != nil {
		t.Fatal(err)
	}
	head := append([]byte("ftrt"), make([]byte, 60)...)
	path := filepath.Join(t.TempDir(), "engine.plan")
	if err := os.WriteFile(path, append(head, body...), 0o600); err != nil {
		t.Fatal(err)
	}
	return Model{Path: path, Contract: graph.Contract}
}

func strategyOf(graph Model) string {
	if graph.Contract.Capacity() > 0 {
		return "wide" // static-kv takes prompts of some lengths only
	}
	return "phase"
}

// graphOfAll is a random model's, of all logits or of the last.
func graphOfAll(t *testing.T, logits export.Logits) Model {
	return graphOf(t, export.Options{Logits: logits})
}

func graphOf(t *testing.T, o export.Options) Model {
	t.Helper()
	return saved(t, exported(t, o))
}

// TestPlansScoreAsTheirGraph: by prefill and by decode, through profiles of their own,
// a plan's score is that of its graph in the ONNX Runtime child, and so are its greedy
// continuations and what padding does to it; with a cache that grows, which lies on
// the played device, and with one of fixed length.
func TestPlansScoreAsTheirGraph(t *testing.T) {
	for name, o := range map[string]export.Options{"grows": {Logits: export.All}, "static": static} {
		t.Run(name, func(t *testing.T) {
			graph := graphOf(t, o)
			plan := planOf(t, graph, profiles.Scenario{Name: "a", Batch: 2, PromptTokens: 15, NewTokens: 9}, profiles.Scenario{Name: "b", Batch: 1, PromptTokens: 1, NewTokens: 2})
			cpu, gpu := client(t), pretended(t)
			for _, phase := range []string{Prefill, Decode} {
				r := ScoreRequest{IDs: text(75), Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 16}, Phase: phase, Batch: 2}
				r.Model = graph
				want, err := Score(t.Context(), cpu, r, progress.Noop)
				if err != nil {
					t.Fatal(err)
				}
				r.Model = plan
				got, err := Score(t.Context(), gpu, r, progress.Noop)
				if err != nil {
					t.Fatalf("%s: %v", phase, err)
				}
				if d := sumsApart(t, got.NLL, want.NLL); d > 1e-4 {
					t.Errorf("%s: sums differ by %g nats from the graph's", phase, d)
				}
			}
			one := BenchRequest{Model: graph, Engine: "e", Repetitions: 1, Tokens: true, Text: text(75), Cases: []bench.Case{scenario("a", 1, 6, 5)}}
			made, err := Bench(t.Context(), cpu, one, progress.Noop)
			if err != nil {
				t.Fatal(err)
			}
			same := narrow(made.Tokens["a"][0])
			other := slices.Clone(same)
			other[3]++ // what the graph would not have taken
			for want, ids := range map[int][]int{5: same, 3: other} {
				r, err := NewGreedy(plan, text(75), validate.Greedy{Begins: []int{0}, PromptTokens: 6, NewTokens: 5, IDs: [][]int{ids}})
				if err != nil {
					t.Fatal(err)
				}
				if got, err := Greedy(t.Context(), gpu, r, progress.Noop); err != nil || len(got) != 1 || got[0] != want {
					t.Errorf("the plan continues as its graph for %v of 5 tokens, want %d: %v", got, want, err)
				}
			}
			v, err := Invariance(t.Context(), gpu, InvarianceRequest{Model: plan, IDs: text(75), Rows: 2, Length: 10, Steps: 4}, progress.Noop)
			if err != nil || !v.Padded || max(v.BatchPrefill, v.BatchDecode, v.PaddingPrefill, v.PaddingDecode) > 1e-4 {
				t.Errorf("%+v, %v", v, err)
			}
		})
	}
}

func narrow(ids []int64) (all []int) {
	for _, id := range ids {
		all = append(all, int(id))
	}
	return all
}

// TestPlansAreTimedAsAnEngineIs: the same request gives the same samples, but for the
// times, in every mode.
func TestPlansAreTimedAsAnEngineIs(t *testing.T) {
	for name, o := range map[string]export.Options{"grows": {Logits: export.Last}, "static": {Logits: export.Last, Cache: export.Static, Capacity: 32}} {
		t.Run(name, func(t *testing.T) { timedAlike(t, graphOf(t, o)) })
	}
}

func timedAlike(t *testing.T, graph Model) {
	plan := planOf(t, graph, profiles.Scenario{Name: "a", Batch: 4, PromptTokens: 20, NewTokens: 12}, profiles.Scenario{Name: "b", Batch: 1, PromptTokens: 1, NewTokens: 2})
	r := BenchRequest{Model: graph, Engine: "e", Repetitions: 2, Round: 3, First: 1, Warmup: bench.Warmup{Exactly: new(int)}, Text: text(100)}
	for _, c := range everyMode() {
		if c.Mode != bench.Chunked && c.Depth == 0 { // a phase plan has no profile for several tokens after others
			r.Cases = append(r.Cases, c)
		}
	}
	want, err := Bench(t.Context(), client(t), r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	gpu := pretended(t)
	r.Model = plan
	got, err := Bench(t.Context(), gpu, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Samples) != len(want.Samples) || got.LoadMS <= 0 {
		t.Fatalf("%d samples, want %d; loaded in %g ms", len(got.Samples), len(want.Samples), got.LoadMS)
	}
	for i, s := range got.Samples {
		checkSample(t, s)
		if a, b := untimed(s), untimed(want.Samples[i]); !reflect.DeepEqual(a, b) {
			t.Errorf("the plan's sample is %+v (%+v), the graph's %+v", a, s.Failure, b)
		}
		if s.Failure == nil && (s.Run <= 0 || s.Run > s.E2E) {
			t.Errorf("of %g ms the device worked %g", s.E2E, s.Run)
		}
	}
	if graph.Contract.Capacity() > 0 {
		return // there a piece is as any prefill
	}
	// What no profile holds is a sample of class shape, not the end of the turn.
	r.Cases = []bench.Case{{Scenario: profiles.Scenario{Name: "chunked", Batch: 4, PromptTokens: 12, NewTokens: 2}, Mode: bench.Chunked, Chunk: 6}}
	if got, err = Bench(t.Context(), gpu, r, progress.Noop); err != nil || got.Samples[0].Failure == nil || got.Samples[0].Failure.Class != "shape" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestPlansThatCannotRun(t *testing.T) {
	graph := graphOfAll(t, export.All)
	plan := planOf(t, graph, profiles.Scenario{Name: "a", Batch: 2, PromptTokens: 8, NewTokens: 8})
	one := BenchRequest{Engine: "e", Repetitions: 1, Cases: []bench.Case{{Scenario: profiles.Scenario{Name: "a", Batch: 2, PromptTokens: 8, NewTokens: 8}}}}
	one.Model = plan
	small := pretended(t, "FAKE_DEVICE_BYTES=4096")
	if got, err := Bench(t.Context(), small, one, progress.Noop); err != nil || got.Samples[0].Failure == nil || got.Samples[0].Failure.Class != "memory" {
		t.Errorf("a small device: %+v, %v", got, err)
	}
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "engine.plan")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	gpu := pretended(t)
	for name, c := range map[string]struct {
		path string
		exit int
		say  string
	}{
		"no plan":                       {write("an engine"), 4, "no TensorRT plan"},
		"no file":                       {filepath.Join(t.TempDir(), "none"), 4, "No such file"},
		"damaged":                       {write("ftrt" + strings.Repeat("\x00", 100)), 5, "the plan is damaged"},
		"of a library that is not here": {write("vtrt" + strings.Repeat("\x00", 100)), 3, "trtforge setup rtx"},
	} {
		one.Path = c.path
		if _, err := Bench(t.Context(), gpu, one, progress.Noop); fault.Exit(err) != c.exit || !strings.Contains(errorText(err), c.say) {
			t.Errorf("%s: exit %d, %v", name, fault.Exit(err), err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := err.(*fault.Error); ok { //nolint:errorlint // for the fix, which Error leaves out
		return e.Error() + " " + e.Fix
	}
	return err.Error()
}

// TestPlanWorkerUpToDeserialisation goes as far as a machine without a GPU does: NVIDIA's
// own library is asked to open a plan of its own builder, and says that there is no
// driver, which is status 3. What comes behind it needs a GPU (docs/gpu-verification.md).
func TestPlanWorkerUpToDeserialisation(t *testing.T) {
	if _, err := os.Stat("/proc/driver/nvidia"); err == nil {
		t.Skip("this machine has a GPU: make gpu-test goes further")
	}
	python := testenv.Python(t, "rtx")
	dir, graph := t.TempDir(), graphOfAll(t, export.All)
	build := &worker.Client{Kind: worker.RTX, Options: worker.Options{Python: python, Cache: t.TempDir()}}
	defer func() { _ = build.Close() }()
	p, err := profiles.Derive(graph.Contract, profiles.Workload{Scenarios: []profiles.Scenario{{Name: "a", Batch: 1, PromptTokens: 8, NewTokens: 8}}}, profiles.Options{Strategy: "phase"})
	if err != nil {
		t.Fatal(err)
	}
	request := map[string]any{"model": graph.Path, "profiles": p.Profiles, "target": "", "out": dir}
	if err := build.Call(t.Context(), "build", request, nil, progress.Noop); err != nil {
		t.Fatal(err)
	}
	c := &worker.Client{Kind: worker.Plan, Options: worker.Options{Python: python, Cache: t.TempDir(), Log: t.Output()}}
	defer func() { _ = c.Close() }()
	r := BenchRequest{Model: Model{Path: filepath.Join(dir, "engine.plan"), Contract: graph.Contract}, Engine: "e",
		Cases: []bench.Case{{Scenario: profiles.Scenario{Name: "a", Batch: 1, PromptTokens: 8, NewTokens: 8}}}}
	_, err = Bench(t.Context(), c, r, progress.Noop)
	if fault.Classify(err) != fault.Missing || !strings.Contains(err.Error(), "cudaError 35") {
		t.Errorf("class %s: %v", fault.Classify(err), err)
	}
}

// TestPlanOnTheGPU builds a plan of the demo with NVIDIA's builder, runs it on the GPU
// of this machine, and holds its score to that of its graph on the CPU.
func TestPlanOnTheGPU(t *testing.T) {
	if _, err := os.Stat("/proc/driver/nvidia"); err != nil {
		t.Skip("this machine has no NVIDIA driver: make gpu-test is for one that has")
	}
	python := testenv.Python(t, "rtx")
	dir := t.TempDir()
	m, err := export.GPT2(filepath.Join(testenv.Root(t), "examples", "demo", "model"), export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	graph := saved(t, m)
	p, err := profiles.Derive(graph.Contract, profiles.Workload{Scenarios: []profiles.Scenario{{Name: "a", Batch: 2, PromptTokens: 63, NewTokens: 64}}}, profiles.Options{Strategy: "phase"})
	if err != nil {
		t.Fatal(err)
	}
	build := &worker.Client{Kind: worker.RTX, Options: worker.Options{Python: python, Cache: t.TempDir(), Log: t.Output()}}
	defer func() { _ = build.Close() }()
	if err := build.Call(t.Context(), "build", map[string]any{"model": graph.Path, "profiles": p.Profiles, "target": "", "out": dir}, nil, progress.Noop); err != nil {
		t.Fatal(err)
	}
	gpu := &worker.Client{Kind: worker.Plan, Options: worker.Options{Python: python, Cache: t.TempDir(), Log: t.Output()}}
	defer func() { _ = gpu.Close() }()
	for _, phase := range []string{Prefill, Decode} {
		r := ScoreRequest{Model: graph, IDs: text(128), Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 64}, Phase: phase, Batch: 2}
		want, err := Score(t.Context(), client(t), r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		r.Path = filepath.Join(dir, "engine.plan")
		got, err := Score(t.Context(), gpu, r, progress.Noop)
		if err != nil {
			t.Fatalf("%s: %v", phase, err)
		}
		worst := sumsApart(t, got.NLL, want.NLL)
		t.Logf("%s: the plan's sums differ from the graph's by %g nats at most", phase, worst)
		if worst > 5e-3 {
			t.Errorf("%s: %g nats", phase, worst)
		}
	}
}
