package jobs

import (
	"maps"
	"math"
	"reflect"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// torch is the PyTorch worker.
func torch(t *testing.T) Caller {
	t.Helper()
	c := &worker.Client{Kind: worker.Reference, Options: worker.Options{Python: testenv.Python(t, "reference"), Cache: t.TempDir(), Log: t.Output()}}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// pair is one random checkpoint for PyTorch and its graph for ONNX Runtime.
func pair(t *testing.T) (checkpoint string, graph Model) {
	t.Helper()
	checkpoint = t.TempDir()
	if err := export.Random(checkpoint, shape, 7); err != nil {
		t.Fatal(err)
	}
	var m *onnx.Model
	m, err := export.GPT2(checkpoint, export.Options{Logits: export.Last})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return checkpoint, saved(t, m)
}

// everyMode is a case of each way to run a request, the last one too long.
func everyMode() []bench.Case {
	four := profiles.Scenario{Name: "four", Batch: 4, PromptTokens: 11, NewTokens: 8}
	as := func(name string, c bench.Case) bench.Case {
		c.Scenario = four
		c.Name = name
		return c
	}
	return []bench.Case{
		as("cached", bench.Case{}), as("uncached", bench.Case{Mode: bench.Uncached}), as("chunked", bench.Case{Mode: bench.Chunked, Chunk: 4}),
		as("deep", bench.Case{Depth: 9}), as("ragged", bench.Case{Ragged: true}), as("ragged", bench.Case{Ragged: true, Mode: bench.Uncached}),
		as("ragged", bench.Case{Ragged: true, Mode: bench.Chunked, Chunk: 6}), as("trace", bench.Case{Requests: []bench.Request{{PromptTokens: 5, NewTokens: 2}, {PromptTokens: 11, NewTokens: 8}}}),
		{Scenario: profiles.Scenario{Name: "one", Batch: 1, PromptTokens: 8, NewTokens: 1}},
		{Scenario: profiles.Scenario{Name: "too long", Batch: 1, PromptTokens: 30, NewTokens: 8}},
	}
}

// PyTorch and ONNX Runtime get the same request and give the same samples, but for
// the times: prompts, pieces, padding and tokens agree.
func TestPyTorchIsTimedAsAnEngineIs(t *testing.T) {
	checkpoint, graph := pair(t)
	r := BenchRequest{Engine: "e", Cases: everyMode(), Repetitions: 2, Round: 3, First: 1, Warmup: bench.Warmup{Exactly: new(int)}, Tokens: true, Seed: 5}
	*r.Warmup.Exactly = 1
	ask := func(c Caller, m Model, ids []int) *BenchResult {
		t.Helper()
		r.Model, r.Text = m, ids
		result, err := Bench(t.Context(), c, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	cpu, py := client(t), torch(t)
	for name, ids := range map[string][]int{"a text": text(100), "a seed": nil} {
		want, got := ask(cpu, graph, ids), ask(py, Model{Path: checkpoint, Threads: 1}, ids)
		for key, tokens := range want.Tokens {
			if !reflect.DeepEqual(got.Tokens[key], tokens) {
				t.Errorf("%s, %s: PyTorch generates %v, ONNX Runtime %v", name, key, got.Tokens[key], tokens)
			}
		}
		if len(want.Tokens) != 8 {
			t.Errorf("tokens of %v", maps.Keys(want.Tokens))
		}
		if len(got.Samples) != len(want.Samples) {
			t.Fatalf("%s: %d samples, ONNX Runtime gives %d", name, len(got.Samples), len(want.Samples))
		}
		for i, s := range got.Samples {
			checkSample(t, s)
			if a, b := untimed(s), untimed(want.Samples[i]); !reflect.DeepEqual(a, b) {
				t.Errorf("%s: PyTorch's sample is %+v, ONNX Runtime's %+v", name, a, b)
			}
		}
		if got.LoadMS <= 0 || got.Samples[0].Load != got.LoadMS {
			t.Errorf("loaded in %g ms", got.LoadMS)
		}
	}
	keepsItsModel(t, py, checkpoint)
}

// checkSample holds a sample's times to each other.
func checkSample(t *testing.T, s bench.Sample) {
	t.Helper()
	if s.Failure != nil {
		return
	}
	sum := s.TTFT
	for _, g := range s.Gaps {
		sum += g
	}
	if s.TTFT <= 0 || len(s.Gaps) != s.NewTokens-1 || s.PeakRSS < 1<<20 || math.Abs(sum-s.E2E) > 1e-6 {
		t.Errorf("sample %+v", s)
	}
}

// untimed is a sample without what differs from system to system.
func untimed(s bench.Sample) bench.Sample {
	s.TTFT, s.E2E, s.Gaps, s.Run, s.Load, s.PeakRSS = 0, 0, nil, 0, 0, 0
	if s.Failure != nil {
		s.Failure = &bench.Failure{}
	}
	return s
}

// keepsItsModel holds the worker to Keep and to its refusals.
func keepsItsModel(t *testing.T, c Caller, checkpoint string) {
	t.Helper()
	r := BenchRequest{Model: Model{Path: checkpoint, PyTorch: &PyTorch{DType: "bf16"}}, Engine: "e", Cases: everyMode()[:1], Repetitions: 1, Keep: true, Text: text(50)}
	for i, want := range []bool{true, false, true} {
		if i == 2 {
			r.PyTorch = &PyTorch{}
		}
		result, err := Bench(t.Context(), c, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if (result.LoadMS > 0) != want || result.Samples[0].Failure != nil {
			t.Errorf("request %d: loaded in %g ms, %+v", i, result.LoadMS, result.Samples[0].Failure)
		}
	}
	r.PyTorch = &PyTorch{DType: "fp8"}
	if _, err := Bench(t.Context(), c, r, progress.Noop); err == nil {
		t.Error("a type that PyTorch is not timed in was taken")
	}
	r.PyTorch, r.Text = nil, []int{1, 2, 1000}
	result, err := Bench(t.Context(), c, r, progress.Noop)
	if err != nil || result.Samples[0].Failure == nil || result.Samples[0].Failure.Class != bench.Vocabulary {
		t.Errorf("a text of another vocabulary gave %+v, %v", result, err)
	}
}
