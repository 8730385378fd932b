package quant

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// TestWeightsAreNumpys quantizes weights of both layouts, with a channel of
// zeros, of subnormals and with values that round to a tie; scales and levels
// equal numpy's bit for bit. The shape makes the streamed pieces end inside rows.
func TestWeightsAreNumpys(t *testing.T) {
	const rows, cols = 431, 307
	r := rand.New(rand.NewPCG(3, 3))
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	for i := range cols {
		values[5*cols+i] = 0
		values[6*cols+i] = 1e-45
		values[7*cols+i] = float32(i%255-127) / 2 // scale 0.5: exact levels
	}
	values[7*cols], values[7*cols+1] = 63.5, 0.25 // amax 63.5, and a tie
	for i := range rows {
		values[i*cols+9] = 0
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	if err := os.WriteFile(in, raw(values), 0o600); err != nil {
		t.Fatal(err)
	}
	w := onnx.Floats("w", []int64{rows, cols}, values...)
	for axis := range 2 {
		oracle(t, "int8", in, out, strconv.Itoa(rows), strconv.Itoa(cols), strconv.Itoa(axis))
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		scale, err := scales(w, axis)
		if err != nil {
			t.Fatal(err)
		}
		q := quantize(w, "q", axis, scale)
		levels, err := q.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(append(raw(scale), levels...), want) {
			t.Errorf("axis %d differs from numpy", axis)
		}
		turned, err := transpose(q).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range [][2]int{{0, 0}, {7, 1}, {430, 306}, {100, 200}} {
			if turned[at[1]*rows+at[0]] != levels[at[0]*cols+at[1]] {
				t.Errorf("the transpose moved %v elsewhere", at)
			}
		}
	}
}

// checkRoles: the same roles whatever the graph is built of.
func checkRoles(t *testing.T, all map[string]*onnx.Model) {
	layer := map[string][]Role{
		"ours": {QKV, AttnOut, FC1, FC2}, "gpt2": {QKV, AttnOut, FC1, FC2},
		"opt": {QKV, QKV, QKV, AttnOut, FC1, FC2}, "llama": {QKV, QKV, QKV, AttnOut, FC1, FC1, FC2},
	}
	for name, m := range all {
		targets, err := Linears(m)
		if err != nil {
			t.Fatal(err)
		}
		var roles []Role
		for i, target := range targets {
			roles = append(roles, target.Role)
			if want := i / len(layer[name]); target.Role != LMHead && target.Layer != want {
				t.Errorf("%s: %s is in layer %d, want %d", name, target.Node, target.Layer, want)
			}
		}
		if want := slices.Concat(layer[name], layer[name], []Role{LMHead}); !slices.Equal(roles, want) {
			t.Errorf("%s: %v, want %v", name, roles, want)
		}
	}
}

// TestGemmLayouts: the scale stands on the output channels of each layout, and
// what is no plain product and sum stays a Gemm.
func TestGemmLayouts(t *testing.T) {
	for name, c := range map[string]struct {
		op      string
		attrs   []any
		tied    bool // the weight passes a Transpose
		axis    int  // of the target
		stored  []int64
		becomes string
	}{
		"MatMul":          {"MatMul", nil, false, 1, []int64{4, 6}, "MatMul"},
		"MatMul, tied":    {"MatMul", nil, true, 0, []int64{4, 6}, "MatMul"},
		"Gemm":            {"Gemm", nil, false, 1, []int64{4, 6}, "MatMul"},
		"Gemm, transB":    {"Gemm", []any{"transB", 1}, false, 0, []int64{4, 6}, "MatMul"},
		"Gemm, alpha":     {"Gemm", []any{"alpha", float32(2)}, false, 1, []int64{4, 6}, "Gemm"},
		"Gemm, transB, β": {"Gemm", []any{"transB", 1, "beta", float32(2)}, false, 0, []int64{6, 4}, "Gemm"},
	} {
		m := onnx.New("g")
		dims := []int64{4, 6}
		if c.axis == 0 {
			dims = []int64{6, 4}
		}
		values := make([]float32, 24)
		for i := range values {
			values[i] = float32(i + 1)
		}
		m.SetWeight(onnx.Floats("w", dims, values...))
		m.SetWeight(onnx.Floats("b", []int64{6}, values[:6]...))
		g := m.Graph()
		g.Input = []*onnxpb.ValueInfoProto{onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4))}
		g.Output = []*onnxpb.ValueInfoProto{onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"), onnx.Fixed(6))}
		weight, inputs := "w", []string{"x", "w"}
		if c.tied {
			g.Node = append(g.Node, onnx.Node("Transpose", "t", []string{"w"}, []string{"wt"}, "perm", []int64{1, 0}))
			inputs[1] = "wt"
		}
		if c.op == "Gemm" {
			inputs = append(inputs, "b")
		}
		g.Node = append(g.Node, onnx.Node(c.op, "product", inputs, []string{"y"}, c.attrs...))
		table := &calib.Table{Ranges: map[string]calib.Range{"x": {Lo: -1, Hi: 1, Amax: 1}}}
		q, decisions, err := Int8(m, table, everything())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := decisions[0]; !d.Quantized || d.Weight != weight || d.Axis != c.axis {
			t.Errorf("%s: %+v", name, d)
		}
		stored := q.Weight("w/int8")
		scale := q.Weight("w/scale")
		if !slices.Equal(stored.Dims, c.stored) || scale.Dims[0] != 6 || q.Weight("w") != nil {
			t.Errorf("%s: stored as %v with %v scales; the float weight stays: %v", name, stored.Dims, scale.Dims, q.Weight("w") != nil)
		}
		for _, n := range q.Graph().GetNode() {
			if n.GetOpType() == "DequantizeLinear" && n.GetInput()[0] == "w/int8" {
				if axis := onnx.AttrInt(n, "axis", 1); stored.Dims[axis] != 6 {
					t.Errorf("%s: scales stand on axis %d of %v", name, axis, stored.Dims)
				}
			}
			if n.GetName() == "product" && n.GetOpType() != c.becomes {
				t.Errorf("%s: became a %s", name, n.GetOpType())
			}
		}
		if err := onnx.Check(q); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInt8Refusals(t *testing.T) {
	m := gpt2(t)
	targets, err := Targets(m, Policy{})
	if err != nil {
		t.Fatal(err)
	}
	table := func(change func(map[string]calib.Range)) *calib.Table {
		r := map[string]calib.Range{}
		for _, target := range targets {
			r[target.Activation] = calib.Range{Lo: -1, Hi: 1, Amax: 1}
		}
		change(r)
		return &calib.Table{Ranges: r}
	}
	first, last := targets[0].Activation, targets[len(targets)-1].Activation
	nothing := func(map[string]calib.Range) {}
	old, nan := m.Clone(), m.Clone()
	old.Proto.OpsetImport[0].Version = 11
	w := *nan.Weight(targets[0].Weight)
	values, err := w.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	values[7] = float32(math.Inf(1))
	nan.SetWeight(onnx.Floats(w.Name, w.Dims, values...))
	for name, c := range map[string]struct {
		m     *onnx.Model
		table *calib.Table
		want  []string
	}{
		"missing ranges": {m, table(func(r map[string]calib.Range) { delete(r, first); delete(r, last) }), []string{first, last, "missing"}},
		"zero range":     {m, table(func(r map[string]calib.Range) { r[first] = calib.Range{} }), []string{first, "zero"}},
		"infinite range": {m, table(func(r map[string]calib.Range) { r[last] = calib.Range{Amax: float32(math.Inf(1))} }), []string{last, "not finite"}},
		"quantized":      {int8Like(), table(nothing), []string{"quantized already"}},
		"old opset":      {old, table(nothing), []string{"opset 11"}},
		"bad weight":     {nan, table(nothing), []string{w.Name, "element 7 is +Inf"}},
	} {
		_, _, err := Int8(c.m, c.table, Policy{})
		if fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v, want an input error", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v lacks %q", name, err, want)
			}
		}
	}
	_, decisions, err := Int8(m, table(nothing), Policy{Exclude: map[string]bool{targets[0].Node: true}})
	if err != nil {
		t.Fatal(err)
	}
	if d := decisions[0]; d.Quantized || d.Reason != "excluded by name" {
		t.Errorf("the excluded node: %+v", d)
	}
	if d := decisions[len(decisions)-1]; d.Quantized || d.Role != LMHead || d.Reason != "the policy leaves lm_head in high precision" {
		t.Errorf("lm_head: %+v", d)
	}
}

// TestDemoKeepsItsPerplexity holds the demo model to what issue 3 promises:
// FP16 within 0.1 % of FP32, INT8 of QKV and FC1 within 0.5 %, alone and with
// FP16 around it, calibrated on the demo's calibration text.
func TestDemoKeepsItsPerplexity(t *testing.T) {
	testenv.Python(t, "oracle")
	model := filepath.Join(testenv.Root(t), "examples", "demo", "model")
	tokens, err := bpe.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, part := range []string{"calibrate", "evaluate"} {
		ids, err := tokens.Encode(string(testenv.DemoText(t, part)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, part), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := opened(t)(export.GPT2(model, export.Options{}))
	q, _, err := Int8(m, calibrated(t, m, Policy{}, filepath.Join(dir, "calibrate")), Policy{})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"perplexity", filepath.Join(dir, "evaluate"), saved(t, m, dir, "fp32"), saved(t, halfOf(t, m), dir, "fp16"), saved(t, q, dir, "int8"), saved(t, halfOf(t, q), dir, "both")}
	var ppl []float64
	for _, line := range oracle(t, args...) {
		ppl = append(ppl, decode[float64](t, line))
	}
	for i, limit := range []float64{0, 0.001, 0.005, 0.005} {
		cost := ppl[i]/ppl[0] - 1
		t.Logf("%s: perplexity %.4f, %+.4f %%", filepath.Base(args[2+i]), ppl[i], 100*cost)
		if cost > limit {
			t.Errorf("%s costs %.3f %%, %.1f %% are allowed", filepath.Base(args[2+i]), 100*cost, 100*limit)
		}
	}
}

// TestLevelRoundsHalfToEven holds level against math.RoundToEven at every half
// and beside it, and at the ends.
func TestLevelRoundsHalfToEven(t *testing.T) {
	try := func(v float32) {
		t.Helper()
		if want := int8(max(-127, min(127, math.RoundToEven(float64(v))))); level(v) != want {
			t.Errorf("level(%v) is %d, not %d", v, level(v), want)
		}
	}
	for i := -260; i <= 260; i++ {
		half := float32(i) / 2
		try(half)
		try(math.Nextafter32(half, 1000))
		try(math.Nextafter32(half, -1000))
	}
	for _, v := range []float32{math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), math.SmallestNonzeroFloat32} {
		try(v)
	}
}
