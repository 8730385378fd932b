package rtx

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
)

func TestForeign(t *testing.T) {
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
			p := quant.Policy{Roles: []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2}}
			ts, err := quant.Targets(m, p)
			if err != nil {
				t.Fatal(err)
			}
			table := &calib.Table{Ranges: map[string]calib.Range{}}
			for _, x := range quant.Observe(ts) {
				table.Ranges[x] = calib.Range{Lo: -3, Hi: 3, Amax: 3}
			}
			q, _, err := quant.Int8(m, table, p)
			if err != nil {
				t.Fatal(err)
			}
			r := engine.Request{Name: "export", Backend: "rtx", Precision: engine.INT8, Model: filepath.Join(t.TempDir(), "m.onnx")}
			if err := onnx.Save(q, r.Model, onnx.SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			if r.ModelDigest, err = q.Digest(); err != nil {
				t.Fatal(err)
			}
			var bound contract.Bindings
			if m.Graph().GetInput()[0].GetName() == "pixel_values" {
				bound = contract.Bindings{{Input: "pixel_values", Dim: 2, Size: 32}, {Input: "pixel_values", Dim: 3, Size: 32}}
			}
			if r.Contract, err = contract.Infer(q, bound...); err != nil {
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
			t.Log(len(ts), err)
		})
	}
}
