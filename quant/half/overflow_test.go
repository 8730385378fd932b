package half

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// stretched multiplies columns of a weight, from first to before end of its last
// axis, in m itself.
func stretched(t *testing.T, m *onnx.Model, name string, by float32, first, end int64) {
	t.Helper()
	w := m.Weight(name)
	values, err := w.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	cols := w.Dims[len(w.Dims)-1]
	for i := range values {
		if c := int64(i) % cols; c >= first && c < end {
			values[i] *= by
		}
	}
	m.SetWeight(onnx.Floats(name, w.Dims, values...))
}

// overflowing are decoders that leave float16 in one place each, and the tensor
// where it happens.
func overflowing(t *testing.T) map[string]struct {
	m      *onnx.Model
	tensor string
} {
	fc1, value, residual, weight := quanttest.GPT2(t), quanttest.GPT2(t), quanttest.GPT2(t), quanttest.GPT2(t)
	const layer = "transformer.h.1."
	stretched(t, fc1, layer+"mlp.c_fc.weight", 2e5, 0, 128)
	stretched(t, fc1, layer+"mlp.c_proj.weight", 1e-5, 0, 32)
	// Attention is linear in its values: the logits stay as they are.
	stretched(t, value, layer+"attn.c_attn.weight", 1e5, 64, 96)
	stretched(t, value, layer+"attn.c_proj.weight", 1e-5, 0, 32)
	stretched(t, residual, "transformer.h.0.mlp.c_proj.weight", 1.5e5, 0, 32)
	stretched(t, weight, layer+"ln_2.weight", 1e-6, 0, 32)
	stretched(t, weight, layer+"ln_2.bias", 1e-6, 0, 32)
	stretched(t, weight, layer+"mlp.c_fc.weight", 1e6, 0, 128)
	return map[string]struct {
		m      *onnx.Model
		tensor string
	}{
		"FC1":      {fc1, "/h.1/mlp/c_fc/MatMul_output_0"},
		"values":   {value, "/h.1/attn/c_attn/MatMul_output_0"},
		"residual": {residual, "/h.0/mlp/c_proj/MatMul_output_0"},
		"weight":   {weight, "transformer.h.1.mlp.c_fc.weight"},
	}
}

// TestRangeRule makes layers exceed float16: the rule names the tensor, numpy in
// half precision overflows without the rule and stays close with it.
func TestRangeRule(t *testing.T) {
	for name, c := range overflowing(t) {
		dir := t.TempDir()
		table := ranged(t, c.m)
		blind := typed(t, c.m, Options{Table: &calib.Table{}})
		h, kept, err := Convert(c.m, Options{Table: table})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(kept, func(k Kept) bool { return k.Tensor == c.tensor })
		if i < 0 || !strings.Contains(kept[i].Reason, "65504") {
			t.Errorf("%s: %q is not named: %+v", name, c.tensor, slices.DeleteFunc(kept, func(k Kept) bool { return k.Tensor == "" }))
			continue
		}
		t.Logf("%s: %s %s: %s %s", name, kept[i].Op, kept[i].Node, kept[i].Tensor, kept[i].Reason)
		lines := quanttest.Oracle(t, "typed", quanttest.Saved(t, c.m, dir, "fp32"), quanttest.Saved(t, blind, dir, "blind"), quanttest.Saved(t, h, dir, "ruled"), quanttest.Saved(t, typed(t, c.m, Options{Type: onnx.BFloat16}), dir, "bf16"))
		without, with, brain := quanttest.Decode[quanttest.Rounding](t, lines[0]), quanttest.Decode[quanttest.Rounding](t, lines[1]), quanttest.Decode[quanttest.Rounding](t, lines[2])
		if name != "weight" && (without.Finite || without.First != c.tensor) { // a weight is judged without a table
			t.Errorf("%s: without the rule numpy should overflow in %q: %+v", name, c.tensor, without)
		}
		if !with.Finite || slices.Max(with.RMS) > 0.004 {
			t.Errorf("%s: with the rule %+v", name, with)
		}
		if !brain.Finite || slices.Max(brain.RMS) > 0.03 {
			t.Errorf("%s: in bfloat16 %+v", name, brain)
		}
		t.Logf("%s: overflows in %q without the rule, rms %v with it, %v in bfloat16", name, without.First, with.RMS, brain.RMS)
	}
}

// TestOverflowingCacheStaysSingle keeps the whole way of a cache that does not
// fit in float32, into the next step's past; asking for less is refused.
func TestOverflowingCacheStaysSingle(t *testing.T) {
	m := overflowing(t)["values"].m
	table := ranged(t, m)
	h := typed(t, m, Options{Table: table})
	for _, v := range slices.Concat(h.Graph().GetInput(), h.Graph().GetOutput()) {
		want := onnx.Float16
		switch name := v.GetName(); {
		case name == "logits" || strings.HasSuffix(name, ".1.value"):
			want = onnx.Float32
		case !strings.Contains(name, "."):
			continue
		}
		if got, _ := onnx.TypeOf(v); got != want {
			t.Errorf("%s is %s, want %s", v.GetName(), got, want)
		}
	}
	_, _, err := Convert(m, Options{Table: table, IO: map[string]onnx.DType{"present.1.value": onnx.Float16}})
	if fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), "present.1.value") || !strings.Contains(err.Error(), "reaches") {
		t.Errorf("a cache that does not fit: %v", err)
	}
}

// TestHeadRoom pins where the rule begins.
func TestHeadRoom(t *testing.T) {
	m := quanttest.GPT2(t)
	const value = "/h.0/mlp/Gelu_output_0"
	for _, c := range []struct {
		hi, room float64
		kept     bool
	}{
		{65504. / 2, 0, false}, {65504./2 + 1, 0, true}, {65504, 1, false}, {65505, 1, true}, {600, 128, true}, {math.MaxFloat32, 0, true},
	} {
		table := &calib.Table{Ranges: map[string]calib.Range{value: {Hi: float32(c.hi)}}}
		_, kept, err := Convert(m, Options{Table: table, HeadRoom: c.room})
		if err != nil {
			t.Fatal(err)
		}
		var nodes []string
		for _, k := range kept {
			if k.Tensor == value {
				nodes = append(nodes, k.Node)
			}
		}
		want := []string{"/h.0/mlp/Gelu", "/h.0/mlp/c_proj/MatMul"}
		if !c.kept {
			want = nil
		}
		if !slices.Equal(nodes, want) {
			t.Errorf("%g with head room %g keeps %v, want %v", c.hi, c.room, nodes, want)
		}
		if _, kept, err := Convert(m, Options{Type: onnx.BFloat16, Table: table}); err != nil || slices.ContainsFunc(kept, func(k Kept) bool { return k.Tensor != "" }) {
			t.Errorf("bfloat16 holds %g: %v, %v", c.hi, kept, err)
		}
	}
}

// TestRangedIsWhatCounts holds the list of observed tensors of our export to
// one read from the graph by hand.
func TestRangedIsWhatCounts(t *testing.T) {
	got, err := Ranged(quanttest.GPT2(t))
	if err != nil {
		t.Fatal(err)
	}
	var layer []string
	for _, name := range got {
		if rest, ok := strings.CutPrefix(name, "/h.0/"); ok {
			layer = append(layer, strings.TrimSuffix(rest, "_output_0"))
		}
	}
	want := []string{
		"ln_1/LayerNormalization", "attn/c_attn/MatMul", "attn/c_attn/Add", "attn/Split", "attn/Split_output_1", "attn/Split_output_2", "attn/Mul", "attn/MatMul", "attn/MatMul_1",
		"attn/c_proj/MatMul", "attn/c_proj/Add", "Add", "ln_2/LayerNormalization", "mlp/c_fc/MatMul", "mlp/c_fc/Add", "mlp/Gelu",
		"mlp/c_proj/MatMul", "mlp/c_proj/Add", "Add_1",
	}
	if !slices.Equal(layer, want) {
		t.Errorf("%q\nwant %q", layer, want)
	}
	for _, name := range []string{"/Add_output_0", "logits"} {
		if !slices.Contains(got, name) {
			t.Errorf("%s is missing", name)
		}
	}
	if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "/mask") }) {
		t.Errorf("masks are never float16: %q", got)
	}
}

// TestConstantsBeyondHalf: a real weight keeps what multiplies it, a mask is
// clipped, an epsilon does not become zero.
func TestConstantsBeyondHalf(t *testing.T) {
	for _, c := range []struct {
		value float32
		kept  bool
	}{
		{1, false}, {65504, false}, {65520, true}, {-1e6, true}, {-1e9, false}, {-math.MaxFloat32, false}, {1e9, true},
		{float32(math.Inf(-1)), false}, {1e-7, false}, {1e-9, true}, {0, false},
	} {
		m := onnx.New("g")
		m.SetWeight(onnx.Floats("c", nil, c.value))
		g := m.Graph()
		g.Input = append(g.Input, onnx.ValueInfo("x", onnx.Float32, onnx.Fixed(2)))
		g.Output = append(g.Output, onnx.ValueInfo("y", onnx.Float32, onnx.Fixed(2)))
		g.Node = append(g.Node, onnx.Node("Unsqueeze", "move", []string{"c", "axes"}, []string{"moved"}), onnx.Node("Add", "add", []string{"x", "moved"}, []string{"y"}))
		m.SetWeight(onnx.Ints("axes", []int64{1}, 0))
		h, kept, err := Convert(m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if (len(kept) == 2) != c.kept {
			t.Errorf("%g: kept %+v", c.value, kept)
		}
		if err := onnx.Save(h, filepath.Join(t.TempDir(), "m.onnx"), onnx.SaveOptions{}); err != nil {
			t.Error(err)
		}
	}
}
