package rtx

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
)

// refusals are the graphs that TensorRT-RTX does not take, whatever the profiles:
// it knows no operators of ONNX Runtime, and has no FP32 kernel for ONNX's
// Attention.
var refusals = map[string]string{
	"genai-llama": "GroupQueryAttention", "genai-qwen2": "GroupQueryAttention", "llama-attention": "Attention operation was not supported by a dedicated kernel",
}

// Every plan that is derived from the contract of a real export builds, where
// TensorRT takes the graph.
func TestPlansOfRealExports(t *testing.T) {
	testenv.Python(t, "rtx")
	paths, err := filepath.Glob(filepath.Join(testenv.Root(t), "contract", "testdata", "*.onnx"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d exports, %v", len(paths), err)
	}
	b := builder(t)
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".onnx"), func(t *testing.T) {
			m, err := onnx.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = m.Close() })
			r := planned(t, m, path, engine.FP32)
			_, err = b.Build(t.Context(), r, t.TempDir(), progress.Noop)
			switch why, refused := refusals[strings.TrimSuffix(filepath.Base(path), ".onnx")]; {
			case refused && (err == nil || !strings.Contains(err.Error(), why)):
				t.Errorf("got %v, want a refusal because of %s", err, why)
			case !refused && err != nil:
				t.Error(err)
			}
		})
	}
}

// planned asks for an engine of the export at path, m, with the plan that is
// derived from its contract.
func planned(t *testing.T, m *onnx.Model, path string, p engine.Precision) engine.Request {
	t.Helper()
	r := engine.Request{Name: "export", Backend: "rtx", Precision: p, Model: path}
	var err error
	if r.ModelDigest, err = m.Digest(); err != nil {
		t.Fatal(err)
	}
	var bound contract.Bindings
	if m.Graph().GetInput()[0].GetName() == "pixel_values" {
		bound = contract.Bindings{{Input: "pixel_values", Dim: 2, Size: 32}, {Input: "pixel_values", Dim: 3, Size: 32}}
	}
	if r.Contract, err = contract.Infer(m, bound...); err != nil {
		t.Fatal(err)
	}
	w := profiles.Workload{Mode: profiles.Uncached, Scenarios: []profiles.Scenario{
		{Name: "one", Batch: 1, PromptTokens: 4, NewTokens: 4}, {Name: "two", Batch: 2, PromptTokens: 8, NewTokens: 4},
	}}
	if r.Contract.Cached() {
		w.Mode = profiles.Cached
	}
	if r.Plan, err = profiles.Derive(r.Contract, w, profiles.Options{Strategy: "phase"}); err != nil {
		t.Fatal(err)
	}
	return r
}

// usual are the exports that are built in INT8 without TRTFORGE_FULL.
var usual = []string{"gpt2", "gpt2-dynamo", "opt", "llama-dynamo", "neox", "optimum-qwen2"}

// TestRealExportsInINT8 quantizes the four projections of each layer. Build
// refuses an engine in which one of them is not multiplied in integers.
func TestRealExportsInINT8(t *testing.T) {
	testenv.Python(t, "rtx")
	paths, err := filepath.Glob(filepath.Join(testenv.Root(t), "contract", "testdata", "*.onnx"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d exports, %v", len(paths), err)
	}
	b := builder(t)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		if refusals[name] != "" || name == "optimum-resnet" || os.Getenv("TRTFORGE_FULL") == "" && !slices.Contains(usual, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, err := onnx.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = m.Close() })
			q := quantize(t, m, quant.Policy{Roles: []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2}})
			out := filepath.Join(t.TempDir(), "model.onnx")
			if err := onnx.Save(q, out, onnx.SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Build(t.Context(), planned(t, q, out, engine.INT8), t.TempDir(), progress.Noop); err != nil {
				t.Error(err)
			}
		})
	}
}
