//go:build cgo

package ortcpu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

func TestBuild(t *testing.T) {
	b := builder(t)
	paths := models(t)
	for _, c := range []struct {
		precision engine.Precision
		layers    map[string]int
	}{
		// Two layers of four projections and two products of attention; lm_head.
		{engine.FP32, map[string]int{"gemm fp32": 13, "gemm int8": 0, "norm fp32": 5, "softmax fp32": 2, "gelu fp32": 2, "quantize fp32": 0}},
		{engine.FP16, map[string]int{"gemm fp32": 13, "gemm int8": 0, "norm fp32": 5}},
		{engine.INT8, map[string]int{"gemm fp32": 9, "gemm int8": 4, "dequantize fp32": 0}},
	} {
		t.Run(string(c.precision), func(t *testing.T) {
			dir := t.TempDir()
			m, err := b.Build(t.Context(), engine.Request{Name: "e", Backend: "ortcpu", Precision: c.precision, Model: paths[string(c.precision)]}, dir, progress.Noop)
			if err != nil {
				t.Fatal(err)
			}
			for layer, n := range c.layers {
				if m.Layers[layer] != n {
					t.Errorf("%d of %s, want %d: %v", m.Layers[layer], layer, n, m.Layers)
				}
			}
			if m.Achieved != c.precision || m.File != "model.onnx" || len(m.Files) != 1 || m.Bytes < 100_000 || len(m.FileDigest) != 64 {
				t.Errorf("manifest %+v", m)
			}
			if (len(m.Warnings) > 0) != (c.precision == engine.FP16) {
				t.Errorf("warnings %v", m.Warnings)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 2 {
				t.Errorf("the directory holds %v, %v", entries, err)
			}
		})
	}
}

func TestFP16IsHalfTheSize(t *testing.T) {
	b := builder(t)
	paths := models(t)
	size := map[engine.Precision]int64{}
	for _, p := range []engine.Precision{engine.FP32, engine.FP16} {
		m, err := b.Build(t.Context(), engine.Request{Precision: p, Model: paths[string(p)]}, t.TempDir(), progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		size[p] = m.Bytes
	}
	if ratio := float64(size[engine.FP16]) / float64(size[engine.FP32]); ratio > 0.6 {
		t.Errorf("FP16 has %.2f of the bytes of FP32", ratio)
	}
}

func TestRefusals(t *testing.T) {
	b := builder(t)
	old := *b
	old.Version = "1.2.3"
	paths := models(t)
	torn := filepath.Join(t.TempDir(), "torn.onnx")
	if err := os.WriteFile(torn, []byte("\x08\x0a torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		b    *Builder
		r    engine.Request
		exit int
		want string
	}{
		{"FP32 graph as INT8", b, engine.Request{Precision: engine.INT8, Model: paths["fp32"]}, 4, "the graph is fp32"},
		{"INT8 graph as FP16", b, engine.Request{Precision: engine.FP16, Model: paths["int8"]}, 4, "the graph is int8, not fp16"},
		{"FP16 graph as FP32", b, engine.Request{Precision: engine.FP32, Model: paths["fp16"]}, 4, "the graph is fp16"},
		{"INT8 that is not integer", b, engine.Request{Precision: engine.INT8, Model: paths["int8 in fp16"]}, 5, "/h.0/attn/c_attn/MatMul"},
		{"a target", b, engine.Request{Precision: engine.FP32, Model: paths["fp32"], Target: "sm89"}, 2, "sm89"},
		{"another version", &old, engine.Request{Precision: engine.FP32, Model: paths["fp32"]}, 5, "not 1.2.3"},
		{"a torn model", b, engine.Request{Precision: engine.FP32, Model: torn}, 4, torn},
	} {
		_, err := c.b.Build(t.Context(), c.r, t.TempDir(), progress.Noop)
		if fault.Exit(err) != c.exit || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v (exit %d)", c.name, err, fault.Exit(err))
		}
	}
}

func TestRevision(t *testing.T) {
	got := (&Builder{Version: "1.32.0"}).Revision()
	if !strings.HasPrefix(got, "onnxruntime 1.32.0 cpu ") {
		t.Errorf("revision %q", got)
	}
}
