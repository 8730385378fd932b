package quant

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/half"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// checkTyped runs every decoder in narrow types as ONNX's reference
// implementation rounds them, beside the float32 original in ONNX Runtime,
// whose CPU provider lacks most bfloat16 kernels.
func checkTyped(t *testing.T, all map[string]*onnx.Model) {
	for name, m := range all {
		dir := t.TempDir()
		some := func(to onnx.DType) *onnx.Model {
			p := Policy{Scales: RoundScales(to, nil)}
			q, _, err := Int8(m, calibrated(t, m, p), p)
			if err != nil {
				t.Fatal(err)
			}
			return typed(t, q, half.Options{Type: to})
		}
		table := ranged(t, m)
		cases := []struct {
			kind  string
			model *onnx.Model
			limit float64 // relative RMS of the logits
		}{
			{"fp16", typed(t, m, half.Options{Table: table}), 0.002},
			{"bf16", typed(t, m, half.Options{Type: onnx.BFloat16}), 0.016},
			{"int8+fp16", some(onnx.Float16), 0.03},
			{"int8+bf16", some(onnx.BFloat16), 0.05},
		}
		args := []string{"typed", quanttest.Saved(t, m, dir, "fp32")}
		for _, c := range cases {
			args = append(args, quanttest.Saved(t, c.model, dir, c.kind))
		}
		for i, line := range quanttest.Oracle(t, args...) {
			got := quanttest.Decode[quanttest.Rounding](t, line)
			if !got.Finite || slices.Max(got.RMS) > cases[i].limit || slices.Min(got.RMS) == 0 {
				t.Errorf("%s, %s: %+v, limit %v", name, cases[i].kind, got, cases[i].limit)
			}
			t.Logf("%s, %s: relative RMS %.2g", name, cases[i].kind, slices.Max(got.RMS))
		}
	}
}

// checkMixed gives NVIDIA's builder graphs in which the range rule keeps some
// nodes in float32, INT8 products among them whose activation others share.
// TRTFORGE_FULL=1 gives it all decoders.
func checkMixed(t *testing.T, all map[string]*onnx.Model) {
	python := testenv.Python(t, "rtx")
	dir := t.TempDir()
	var args []string
	full := os.Getenv("TRTFORGE_FULL") != ""
	for name, m := range all {
		if !full && name != "llama" {
			continue
		}
		targets, err := Targets(m, Policy{})
		if err != nil {
			t.Fatal(err)
		}
		some := int8Of(t, m, Policy{})
		for _, to := range []onnx.DType{onnx.Float16, onnx.BFloat16} {
			o := half.Options{Type: to, Single: map[string]bool{targets[0].Node: true}}
			args = append(args, quanttest.Saved(t, typed(t, some, o), dir, name+"-"+to.String()))
		}
		// Every other value that is judged leaves float16.
		names, err := half.Ranged(m)
		if err != nil {
			t.Fatal(err)
		}
		table := &calib.Table{Ranges: map[string]calib.Range{}}
		for i, v := range names {
			table.Ranges[v] = calib.Range{Hi: []float32{1, 1e5}[i%2]}
		}
		args = append(args, quanttest.Saved(t, typed(t, m, half.Options{Table: table}), dir, name+"-beyond"), quanttest.Saved(t, typed(t, some, half.Options{Table: table}), dir, name+"-int8-beyond"))
	}
	for i, line := range quanttest.Script(t, python, "rtx.py", args...) {
		got := quanttest.Decode[struct {
			Error    string
			Profiles int
			Bytes    int64
		}](t, line)
		if got.Error != "" || got.Bytes == 0 || got.Profiles != 2 {
			t.Errorf("%s: %+v", filepath.Base(args[i]), got)
		}
	}
}
