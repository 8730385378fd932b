package jobs

import (
	"math"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/profiles"
)

// torch is the PyTorch worker.
func torch(t *testing.T) Caller {
	t.Helper()
	c, err := worker.Start(t.Context(), worker.Reference, worker.Options{Python: testenv.Python(t, "reference"), Cache: t.TempDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPyTorchIsTimedLikeAnEngine(t *testing.T) {
	c := torch(t)
	dir := t.TempDir()
	if err := export.Random(dir, shape, 7); err != nil {
		t.Fatal(err)
	}
	r := BenchRequest{Model: Model{Path: dir, Threads: 1}, Engine: "torch", Repetitions: 3, Round: 2, Warmup: bench.Warmup{Max: 5}, Text: text(100),
		Scenarios: []profiles.Scenario{{Name: "one", Batch: 1, PromptTokens: 8, NewTokens: 1}, {Name: "four", Batch: 4, PromptTokens: 11, NewTokens: 8},
			{Name: "too long", Batch: 1, PromptTokens: 30, NewTokens: 8}}}
	result, err := Bench(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Samples) != 7 || result.LoadMS <= 0 {
		t.Fatalf("%d samples, loaded in %g ms", len(result.Samples), result.LoadMS)
	}
	for _, s := range result.Samples[:6] {
		sum := s.TTFT
		for _, g := range s.Gaps {
			sum += g
		}
		if s.Failure != nil || s.Engine != "torch" || s.Round != 2 || s.TTFT <= 0 || len(s.Gaps) != s.NewTokens-1 || s.PeakRSS < 1<<20 || math.Abs(sum-s.E2E) > 1e-6 {
			t.Errorf("sample %+v", s)
		}
	}
	if f := result.Samples[6].Failure; f == nil || f.Class != bench.Shape {
		t.Errorf("a scenario longer than the model gave %+v", result.Samples[6])
	}
}
