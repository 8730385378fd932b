package rtx

import (
	"os"
	"testing"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
)

// TestPrecisionsOfGPT2 builds GPT-2 of 124 million random weights in every precision
// that users ask for, with a profile for prefill and one for decode. Build refuses an
// engine in which anything that the graph quantizes is not computed in integers.
func TestPrecisionsOfGPT2(t *testing.T) {
	if os.Getenv("TRTFORGE_FULL") == "" {
		t.Skip("plans of GPT-2 124M are built with TRTFORGE_FULL=1; the demo's always")
	}
	b := builder(t)
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 12, Width: 768, Heads: 12, Vocab: 50257, Positions: 1024}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	some := quantize(t, m, quant.Policy{})
	for _, v := range []struct {
		name  string
		graph *onnx.Model
		as    engine.Precision
	}{{"fp32", m, engine.FP32}, {"fp16", half(t, m), engine.FP16}, {"int8", some, engine.INT8}, {"int8+fp16", half(t, some), engine.INT8}} {
		r := asked(t, v.graph, v.as)
		w := profiles.Workload{Scenarios: []profiles.Scenario{
			{Name: "chat", Batch: 1, PromptTokens: 256, NewTokens: 128}, {Name: "batch", Batch: 4, PromptTokens: 128, NewTokens: 64},
		}}
		if r.Plan, err = profiles.Derive(r.Contract, w, profiles.Options{Strategy: "phase"}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		got, err := b.Build(t.Context(), r, t.TempDir(), progress.Noop)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		t.Logf("%s: achieved %s in %.1f s, %d bytes, peak %d MB, memory %+v, %v", v.name, got.Achieved, time.Since(begin).Seconds(), got.Bytes,
			got.Measured.PeakBytes>>20, got.Memory, got.Layers)
		if got.Achieved != v.as || len(got.Profiles) != 2 || got.Memory == nil {
			t.Errorf("%s: achieved %s, %d profiles, memory %v", v.name, got.Achieved, len(got.Profiles), got.Memory)
		}
		// Two products of each of twelve layers in each of two profiles.
		if n := got.Layers["gemm Int8"]; v.as == engine.INT8 && n < 2*2*12 {
			t.Errorf("%s: %d integer products", v.name, n)
		}
	}
}
