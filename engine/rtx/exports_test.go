package rtx

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// Every plan that is derived from the contract of a real export builds, where
// TensorRT's parser takes the graph: it knows no operators of ONNX Runtime.
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
			r := engine.Request{Name: "export", Backend: "rtx", Precision: engine.FP32, Model: path}
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
			_, err = b.Build(t.Context(), r, t.TempDir(), progress.Noop)
			switch foreign := strings.HasPrefix(filepath.Base(path), "genai-"); {
			case foreign && (err == nil || !strings.Contains(err.Error(), "GroupQueryAttention")):
				t.Errorf("got %v, want a refusal that names the operator", err)
			case !foreign && err != nil:
				t.Error(err)
			}
		})
	}
}
