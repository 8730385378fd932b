package jobs

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/profiles"
)

// BenchRequest asks for one engine's turn.
type BenchRequest struct {
	Model
	Engine      string              `json:"engine"`    // the name that samples carry
	Scenarios   []profiles.Scenario `json:"scenarios"` // in this order
	Round       int                 `json:"round"`
	Repetitions int                 `json:"repetitions"` // timed requests a scenario; 5 where 0
	Warmup      bench.Warmup        `json:"warmup"`
	Text        []int               `json:"text,omitempty"` // token ids of the prompts; empty: random ids by Seed
	Seed        uint64              `json:"seed"`
}

// BenchResult is what a turn gave.
type BenchResult struct {
	Samples  []bench.Sample `json:"samples"`
	LoadMS   float64        `json:"load_ms"` // opening the engine
	Warnings []string       `json:"warnings,omitempty"`
}

// Bench times one engine on some scenarios. What fails in a scenario is a sample
// with a class; an error means that nothing was measured at all.
func Bench(ctx context.Context, c Caller, r BenchRequest, p progress.Counter) (*BenchResult, error) {
	result := &BenchResult{}
	if err := c.Call(ctx, benchJob, r, result, p); err != nil {
		return nil, err
	}
	return result, nil
}

func benchmark(_ context.Context, call *child.Call) (any, error) {
	var r BenchRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.needContract(benchJob); err != nil {
		return nil, err
	}
	if r.Repetitions < 1 {
		r.Repetitions = 5
	}
	result := &BenchResult{}
	return result, r.with(func(s *ort.Session, load time.Duration) error {
		result.LoadMS = milliseconds(load)
		call.Progress.SetMax(int64(len(r.Scenarios) * r.Repetitions))
		for i, sc := range r.Scenarios {
			call.Progress.Note(sc.Name)
			samples, warning := r.scenario(s, sc)
			for _, one := range samples {
				one.Engine, one.Round = r.Engine, r.Round
				result.Samples = append(result.Samples, one)
			}
			if warning != "" {
				result.Warnings = append(result.Warnings, warning)
			}
			call.Progress.Set(int64((i + 1) * r.Repetitions))
		}
		return nil
	})
}

// scenario times one scenario. A failure ends it: the next repetition would fail
// alike.
func (r BenchRequest) scenario(session *ort.Session, s profiles.Scenario) (samples []bench.Sample, warning string) {
	failed := func(f *bench.Failure) []bench.Sample {
		return append(samples, bench.Sample{Scenario: s.Name, Mode: bench.Cached, Batch: s.Batch, PromptTokens: s.PromptTokens, NewTokens: s.NewTokens, Failure: f})
	}
	resetPeak()
	d, err := lm.NewDecoder(session, r.Contract, lm.Options{Batch: s.Batch, Capacity: s.PromptTokens + s.NewTokens - 1})
	if err != nil {
		return failed(bench.Classify(err)), ""
	}
	defer func() { _ = d.Close() }()
	t, err := bench.NewTimer(d, s, bench.Wall())
	if err != nil {
		return failed(bench.Classify(err)), ""
	}
	prompts := bench.Prompts(s, wide(r.Text), r.Contract.Vocab, r.Seed)
	n, steady, failure := t.Warm(s, prompts, r.Warmup)
	if failure != nil {
		return failed(failure), ""
	}
	if !steady {
		warning = fmt.Sprintf("%s, %s: not steady after %d requests of warm-up", r.Engine, s.Name, n)
	}
	for range r.Repetitions {
		one := t.Measure(s, prompts)
		one.PeakRSS = peakRSS()
		samples = append(samples, one)
		if one.Failure != nil {
			break
		}
	}
	return samples, warning
}

// resetPeak makes the kernel forget the process's peak of resident memory, so
// that a scenario shows its own. Where the kernel refuses, the peak is that of
// the process so far.
func resetPeak() {
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}
