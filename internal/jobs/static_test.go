//go:build cgo

package jobs

import (
	"math"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/validate"
)

var static = export.Options{Cache: export.Static, Capacity: 24}

// Every job does with a static cache what it does with one that grows.
func TestScoreOfStaticCache(t *testing.T) {
	c := client(t)
	grows, m := saved(t, gpt2(t, export.All)), saved(t, exported(t, static))
	ids := text(5*16 + 7)
	for _, r := range []ScoreRequest{{Phase: Prefill}, {Phase: Decode}, {Phase: Decode, Prompt: 6, Batch: 2}} {
		r.IDs, r.Convention = ids, validate.Convention{Name: validate.HFNonOverlap, Length: 16}
		var scores []*validate.Score
		for _, model := range []Model{grows, m} {
			r.Model = model
			s, err := Score(t.Context(), c, r, progress.Noop)
			if err != nil {
				t.Fatal(err)
			}
			scores = append(scores, s)
		}
		if d := sumsApart(t, scores[1].NLL, scores[0].NLL); d > 1e-4 || scores[1].NonFinite != 0 {
			t.Fatalf("%s: sums differ by %g from those of a cache that grows, %d rows are not finite", r.Phase, d, scores[1].NonFinite)
		}
	}
	long := ScoreRequest{Model: m, IDs: ids, Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 30}, Phase: Prefill}
	if _, err := Score(t.Context(), c, long, progress.Noop); fault.Exit(err) != 4 || !strings.Contains(err.Error(), "24 columns") {
		t.Errorf("windows longer than the buffer: %v", err)
	}
}

func TestCalibrateStaticCache(t *testing.T) {
	c := client(t)
	want, got := calibrated(t, c, gpt2(t, export.All)), calibrated(t, c, exported(t, static))
	for name, h := range want.Tensors {
		if g := got.Tensors[name]; math.Abs(float64(g.Amax()-h.Amax())) > 1e-5 {
			t.Errorf("%s: %g at most, the cache that grows gives %g", name, g.Amax(), h.Amax())
		}
	}
}

func TestBenchOfStaticCache(t *testing.T) {
	o := static
	o.Logits = export.Last
	r := BenchRequest{Model: saved(t, exported(t, o)), Engine: "cpu", Repetitions: 3, Warmup: bench.Warmup{Max: 2},
		Cases: []bench.Case{scenario("full", 2, 11, 14), scenario("too long", 1, 20, 6)}}
	result, err := Bench(t.Context(), client(t), r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Samples) != 4 || result.Samples[2].Failure != nil || len(result.Samples[2].Gaps) != 13 {
		t.Fatalf("samples %+v", result.Samples)
	}
	if f := result.Samples[3].Failure; f == nil || !strings.Contains(f.Cause, "24 columns") {
		t.Errorf("a scenario longer than the buffer gave %+v", result.Samples[3])
	}
}
