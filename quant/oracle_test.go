package quant

import (
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/half"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// calibrated is the table that ONNX Runtime and numpy make of random ids, or of
// those in a file, for the products that the policy takes.
func calibrated(t *testing.T, m *onnx.Model, p Policy, ids ...string) *calib.Table {
	t.Helper()
	targets, err := Targets(m, p)
	if err != nil {
		t.Fatal(err)
	}
	return quanttest.Observed(t, m, Observe(targets), ids...)
}

// ranged is the table of what float16 is judged by.
func ranged(t *testing.T, m *onnx.Model, ids ...string) *calib.Table {
	t.Helper()
	observe, err := half.Ranged(m)
	if err != nil {
		t.Fatal(err)
	}
	return quanttest.Observed(t, m, observe, ids...)
}

// everything is the policy that takes all roles.
func everything() Policy { return Policy{Roles: []Role{QKV, AttnOut, FC1, FC2, LMHead, Other}} }

func int8Of(t *testing.T, m *onnx.Model, p Policy) *onnx.Model {
	t.Helper()
	q, _, err := Int8(m, calibrated(t, m, p), p)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func halfOf(t *testing.T, m *onnx.Model) *onnx.Model { return typed(t, m, half.Options{}) }

func typed(t *testing.T, m *onnx.Model, o half.Options) *onnx.Model {
	t.Helper()
	h, _, err := half.Convert(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// decoders are our export and those that PyTorch makes: GPT-2 with Conv1D as
// Gemm, OPT with biases and Gemm, Llama with written-out RMS norms, rotary
// positions, a gated MLP and grouped queries.
func decoders(t *testing.T) map[string]*onnx.Model {
	t.Helper()
	dir := t.TempDir()
	all := map[string]*onnx.Model{"ours": quanttest.GPT2(t)}
	foreign := []string{"gpt2", "opt", "llama"}
	quanttest.Oracle(t, append([]string{"torch", dir}, foreign...)...)
	for _, name := range foreign {
		all[name] = quanttest.Opened(t)(onnx.Load(filepath.Join(dir, name+".onnx")))
	}
	return all
}

// TestDecoders holds every precision of every decoder to three judges; PyTorch
// exports them once.
func TestDecoders(t *testing.T) {
	all := decoders(t)
	t.Run("roles", func(t *testing.T) { checkRoles(t, all) })
	t.Run("numerics", func(t *testing.T) { checkNumerics(t, all) })
	t.Run("typed", func(t *testing.T) { checkTyped(t, all) })
	t.Run("smooth", func(t *testing.T) { checkSmooth(t, all) })
	t.Run("builder", func(t *testing.T) { checkBuilder(t, all) })
	t.Run("mixed", func(t *testing.T) { checkMixed(t, all) })
}

type comparison struct {
	RMS    []float64
	Finite bool
	Ops    struct{ Default, Signed map[string]int }
	Types  map[string]string
}

// checkNumerics runs every decoder in each precision in ONNX Runtime, with
// padding and with and without a past, beside the float32 original. ONNX's own
// strict checker takes each graph, and integer kernels run where asked.
func checkNumerics(t *testing.T, all map[string]*onnx.Model) {
	for name, m := range all {
		dir := t.TempDir()
		targets, err := Targets(m, Policy{})
		if err != nil {
			t.Fatal(err)
		}
		most, err := Targets(m, everything())
		if err != nil {
			t.Fatal(err)
		}
		some, full := int8Of(t, m, Policy{}), int8Of(t, m, everything())
		cases := []struct {
			model *onnx.Model
			limit float64 // relative RMS of the logits
			ints  int
		}{
			{halfOf(t, m), 0.002, 0}, {some, 0.03, len(targets)}, {halfOf(t, some), 0.03, 0}, {full, 0.25, len(most)}, {halfOf(t, full), 0.25, 0},
		}
		args := []string{"compare", quanttest.Saved(t, m, dir, "fp32")}
		for i, c := range cases {
			args = append(args, quanttest.Saved(t, c.model, dir, string(rune('a'+i))))
		}
		for i, line := range quanttest.Oracle(t, args...) {
			got := quanttest.Decode[comparison](t, line)
			for _, rms := range got.RMS {
				if !(rms <= cases[i].limit) || rms == 0 {
					t.Errorf("%s, case %d: relative RMS %v, limit %v", name, i, got.RMS, cases[i].limit)
				}
			}
			if !got.Finite {
				t.Errorf("%s, case %d: logits are not finite", name, i)
			}
			if ints := got.Ops.Signed["MatMulIntegerToFloat"]; ints != cases[i].ints {
				t.Errorf("%s, case %d: %d integer products of %d, operators %v", name, i, ints, cases[i].ints, got.Ops.Signed)
			}
			// By default ONNX Runtime makes activations unsigned first, which it
			// does only where a QuantizeLinear has one consumer.
			if ints := got.Ops.Default["MatMulIntegerToFloat"]; ints != cases[i].ints {
				t.Errorf("%s, case %d: %d integer products of %d by default, operators %v", name, i, ints, cases[i].ints, got.Ops.Default)
			}
			kv := "tensor(float)"
			if i == 0 || i == 2 || i == 4 {
				kv = "tensor(float16)"
			}
			if got.Types["logits"] != "tensor(float)" || got.Types["past_key_values.0.key"] != kv || got.Types["present.1.value"] != kv || got.Types["input_ids"] != "tensor(int64)" {
				t.Errorf("%s, case %d: types %v", name, i, got.Types)
			}
		}
	}
}

// checkBuilder gives every precision of every decoder to NVIDIA's
// parser and builder, which are strict about types.
func checkBuilder(t *testing.T, all map[string]*onnx.Model) {
	python := testenv.Python(t, "rtx")
	dir := t.TempDir()
	var args []string
	var want []struct {
		name string
		ints int
	}
	for name, m := range all {
		some := int8Of(t, m, Policy{})
		for kind, graph := range map[string]*onnx.Model{
			"fp16": halfOf(t, m), "int8": some, "int8+fp16": halfOf(t, some),
			"bf16": typed(t, m, half.Options{Type: onnx.BFloat16}), "int8+bf16": typed(t, some, half.Options{Type: onnx.BFloat16}),
		} {
			ints := 0
			if kind != "fp16" && kind != "bf16" {
				// Two layers, two profiles, QKV and FC1; products that share an
				// input are one layer.
				ints = 2 * 2 * 2
			}
			args = append(args, quanttest.Saved(t, graph, dir, name+"-"+kind))
			want = append(want, struct {
				name string
				ints int
			}{name + " " + kind, ints})
		}
	}
	for i, line := range quanttest.Script(t, python, "rtx.py", args...) {
		got := quanttest.Decode[struct {
			Error                 string
			Profiles, Gemms, Int8 int
			Bytes                 int64
		}](t, line)
		if got.Error != "" || got.Bytes == 0 || got.Profiles != 2 {
			t.Errorf("%s: %+v", want[i].name, got)
		} else if got.Int8 != want[i].ints {
			t.Errorf("%s: %d INT8 products of %d", want[i].name, got.Int8, want[i].ints)
		}
	}
}
