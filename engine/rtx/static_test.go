package rtx

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// pinned are profiles of one shape each: prefills of the given lengths and the
// one decode step that a static cache has.
func pinned(c *contract.Contract, batch int64, lengths ...int64) *profiles.Plan {
	p := &profiles.Plan{Kind: "plan", SchemaVersion: profiles.SchemaVersion, Strategy: "static-kv"}
	for _, seq := range append(lengths, 1) {
		one := profiles.Profile{Name: fmt.Sprint("seq", seq)}
		for _, t := range c.Inputs {
			shape := c.Shape(t, batch, seq, 0)
			one.Inputs = append(one.Inputs, profiles.Range{Input: t.Name, Min: shape, Opt: shape, Max: shape})
		}
		p.Profiles = append(p.Profiles, one)
	}
	return p
}

// A static cache builds in every precision, all of its profiles of one shape: two
// buckets of prefill and one decode step. Nothing in it is as long as what the
// past has grown to.
func TestStaticCacheBuilds(t *testing.T) {
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 128, Heads: 4, Vocab: 256, Positions: 64}, 1); err != nil {
		t.Fatal(err)
	}
	b := builder(t)
	for _, logits := range []export.Logits{export.All, export.Last} {
		m, err := export.GPT2(dir, export.Options{Logits: logits, Cache: export.Static, Capacity: 48})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close() }()
		for _, v := range []struct {
			precision engine.Precision
			graph     *onnx.Model
		}{{engine.FP32, m}, {engine.FP16, half(t, m)}, {engine.INT8, half(t, integer(t, m))}} {
			r := engine.Request{Name: fmt.Sprint("static-", logits, "-", v.precision), Backend: "rtx", Precision: v.precision,
				Model: filepath.Join(t.TempDir(), "model.onnx")}
			if err := onnx.Save(v.graph, r.Model, onnx.SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			if r.Contract, err = contract.Infer(v.graph); err != nil {
				t.Fatal(err)
			}
			r.Plan = pinned(r.Contract, 4, 8, 24)
			got, err := b.Build(t.Context(), r, t.TempDir(), progress.Noop)
			if err != nil {
				t.Errorf("%s: %v", r.Name, err)
				continue
			}
			if got.Achieved != v.precision || len(got.Profiles) != 3 || len(got.Warnings) > 0 {
				t.Errorf("%s: achieved %s, %d profiles, warnings %q", r.Name, got.Achieved, len(got.Profiles), got.Warnings)
			}
		}
	}
}

// A plan that is derived from the contract builds too: prefills of any length
// beside the one decode step.
func TestDerivedPlanOfStaticCacheBuilds(t *testing.T) {
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 1, Width: 64, Heads: 2, Vocab: 128, Positions: 64}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{Logits: export.Last, Cache: export.Static, Capacity: 40})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	r := asked(t, half(t, m), engine.FP16)
	for i, in := range r.Plan.Profiles[1].Inputs {
		for j, d := range r.Contract.Inputs[i].Dims {
			if d.Role != contract.Batch && in.Min[j] != in.Max[j] {
				t.Errorf("dimension %d of %s goes from %d to %d in decode", j, in.Input, in.Min[j], in.Max[j])
			}
		}
	}
	got, err := builder(t).Build(t.Context(), r, t.TempDir(), progress.Noop)
	if err != nil || len(got.Profiles) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
