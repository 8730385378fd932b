package quant

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
)

// oracle runs testdata/oracle.py and returns its lines.
func oracle(t *testing.T, args ...string) [][]byte {
	t.Helper()
	return script(t, testenv.Python(t, "oracle"), "oracle.py", args...)
}

func script(t *testing.T, python, file string, args ...string) [][]byte {
	t.Helper()
	cmd := exec.Command(python, append([]string{filepath.Join("testdata", file)}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", file, args, err, stderr.Bytes())
	}
	return bytes.Split(bytes.TrimSpace(out), []byte("\n"))
}

func decode[T any](t *testing.T, line []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(line, &v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v
}

// gpt2 is a small random GPT-2 of our own export.
func gpt2(t *testing.T) *onnx.Model {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 97, Positions: 64, Std: 0.1}, 1); err != nil {
		t.Fatal(err)
	}
	return opened(t)(export.GPT2(dir, export.Options{}))
}

// opened closes a model at the end of the test.
func opened(t *testing.T) func(*onnx.Model, error) *onnx.Model {
	return func(m *onnx.Model, err error) *onnx.Model {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		return m
	}
}

// saved writes m below dir and returns the path.
func saved(t *testing.T, m *onnx.Model, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name+".onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// calibrated is the table that ONNX Runtime and numpy make of random ids, or of
// those in a file, for the products that the policy takes.
func calibrated(t *testing.T, m *onnx.Model, p Policy, ids ...string) *calib.Table {
	t.Helper()
	targets, err := Targets(m, p)
	if err != nil {
		t.Fatal(err)
	}
	return observed(t, m, Observe(targets), ids...)
}

// ranged is the table of what float16 is judged by.
func ranged(t *testing.T, m *onnx.Model, ids ...string) *calib.Table {
	t.Helper()
	observe, err := Ranged(m)
	if err != nil {
		t.Fatal(err)
	}
	return observed(t, m, observe, ids...)
}

func observed(t *testing.T, m *onnx.Model, observe []string, ids ...string) *calib.Table {
	t.Helper()
	cut, err := calib.Cut(m, observe)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "ranges.json")
	oracle(t, append([]string{"ranges", saved(t, cut, dir, "cut"), out}, ids...)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return &calib.Table{Ranges: decode[map[string]calib.Range](t, b)}
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

func halfOf(t *testing.T, m *onnx.Model) *onnx.Model { return typed(t, m, HalfOptions{}) }

func typed(t *testing.T, m *onnx.Model, o HalfOptions) *onnx.Model {
	t.Helper()
	h, err := Half(m, o)
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
	all := map[string]*onnx.Model{"ours": gpt2(t)}
	foreign := []string{"gpt2", "opt", "llama"}
	oracle(t, append([]string{"torch", dir}, foreign...)...)
	for _, name := range foreign {
		all[name] = opened(t)(onnx.Load(filepath.Join(dir, name+".onnx")))
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
		args := []string{"compare", saved(t, m, dir, "fp32")}
		for i, c := range cases {
			args = append(args, saved(t, c.model, dir, string(rune('a'+i))))
		}
		for i, line := range oracle(t, args...) {
			got := decode[comparison](t, line)
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
			"bf16": typed(t, m, HalfOptions{Type: onnx.BFloat16}), "int8+bf16": typed(t, some, HalfOptions{Type: onnx.BFloat16}),
		} {
			ints := 0
			if kind != "fp16" && kind != "bf16" {
				// Two layers, two profiles, QKV and FC1; products that share an
				// input are one layer.
				ints = 2 * 2 * 2
			}
			args = append(args, saved(t, graph, dir, name+"-"+kind))
			want = append(want, struct {
				name string
				ints int
			}{name + " " + kind, ints})
		}
	}
	for i, line := range script(t, python, "rtx.py", args...) {
		got := decode[struct {
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
