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
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant/quanttest"
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
	if err := os.WriteFile(in, quanttest.Raw(values), 0o600); err != nil {
		t.Fatal(err)
	}
	w := onnx.Floats("w", []int64{rows, cols}, values...)
	for axis := range 2 {
		quanttest.Oracle(t, "int8", in, out, strconv.Itoa(rows), strconv.Itoa(cols), strconv.Itoa(axis))
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
		if !slices.Equal(append(quanttest.Raw(scale), levels...), want) {
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

func TestInt8Refusals(t *testing.T) {
	m := quanttest.GPT2(t)
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
	other := table(nothing)
	other.Model = strings.Repeat("5a", 32)
	digest, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	branch := m.Clone()
	maybe := onnx.Node("If", "/maybe", []string{"c"}, []string{"d"})
	maybe.Attribute = append(maybe.Attribute, &onnxpb.AttributeProto{Name: "then_branch", Type: onnxpb.AttributeProto_GRAPH, G: &onnxpb.GraphProto{}})
	branch.Graph().Node = append(branch.Graph().Node, maybe)
	w := *nan.Weight(targets[0].Weight)
	values, err := w.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	values[7] = float32(math.Inf(1))
	nan.SetWeight(onnx.Floats(w.Name, w.Dims, values...))
	with := func(nodes ...*onnxpb.NodeProto) *onnx.Model {
		c := m.Clone()
		c.SetWeight(onnx.Floats("none", []int64{0, 4}))
		c.SetWeight(onnx.Ints("open", []int64{2}, 0, -1))
		c.Graph().Node = append(c.Graph().Node, nodes...)
		return c
	}
	in := slices.IndexFunc(m.Graph().GetNode(), func(n *onnxpb.NodeProto) bool { return graph.NodeName(n) == targets[0].Node })
	product := m.Graph().GetNode()[in].GetOutput()[0]
	for name, c := range map[string]struct {
		m     *onnx.Model
		table *calib.Table
		want  []string
	}{
		"a cycle":          {with(onnx.Node("Identity", "", []string{"b"}, []string{"a"}), onnx.Node("Identity", "", []string{"a"}, []string{"b"})), table(nothing), []string{`"b" is made by no earlier node`}},
		"half an Add":      {with(onnx.Node("Add", "half", []string{product}, []string{"a"})), table(nothing), []string{"half", "1 inputs"}},
		"IsNaN of nothing": {with(onnx.Node("IsNaN", "test", nil, []string{"a"})), table(nothing), []string{"test", "0 inputs"}},
		"an open shape of nothing": {with(onnx.Node("Reshape", "open", []string{"none", "open"}, []string{"a"}),
			onnx.Node("MatMul", "empty", []string{first, "a"}, []string{"c"}), onnx.Node("MatMul", "next", []string{"c", targets[0].Weight}, []string{"d"})),
			table(nothing), []string{"empty", "[0 -1]"}},
		"missing ranges": {m, table(func(r map[string]calib.Range) { delete(r, first); delete(r, last) }), []string{first, last, "missing"}},
		"zero range":     {m, table(func(r map[string]calib.Range) { r[first] = calib.Range{} }), []string{first, "zero"}},
		"infinite range": {m, table(func(r map[string]calib.Range) { r[last] = calib.Range{Amax: float32(math.Inf(1))} }), []string{last, "not finite"}},
		"quantized":      {quanttest.Quantized(), table(nothing), []string{"quantized already"}},
		"old opset":      {old, table(nothing), []string{"opset 11", "13 is needed", "opset_version=19"}},
		"other model":    {m, other, []string{other.Model, digest}},
		"control flow":   {branch, table(nothing), []string{"control flow", "/maybe"}},
		"bad weight":     {nan, table(nothing), []string{w.Name, "element 7 is +Inf"}},
	} {
		_, _, err := Int8(c.m, c.table, Policy{})
		if fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v, want an input error", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(advice(err), want) {
				t.Errorf("%s: %v lacks %q", name, advice(err), want)
			}
		}
	}
	if _, _, err := Int8(nan, table(nothing), Policy{Scales: RoundScales(onnx.Float16, nil)}); fault.Classify(err) != fault.Input {
		t.Errorf("a bad weight with narrow scales: %v is of class %s", err, fault.Classify(err))
	}
	if _, _, err := Int8(m, nil, Policy{}); fault.Classify(err) != fault.Usage {
		t.Errorf("without a table: %v", err)
	}
	own := table(nothing)
	own.Model = digest
	if _, _, err := Int8(m, own, Policy{}); err != nil {
		t.Errorf("the table of this model: %v", err)
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

// TestSharedWeights: a weight that a quantized product shares with others stays
// for them, and the decision says by how much the file grows; where all of its
// users are quantized, in one layout, it is stored once.
func TestSharedWeights(t *testing.T) {
	m := quanttest.GPT2(t) // lm_head is tied to the embedding: 97 x 32
	q, decisions, err := Int8(m, nil, Policy{Roles: []Role{LMHead}, WeightOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	d := decisions[len(decisions)-1]
	if !d.Quantized || !strings.Contains(d.Shared, "wte") && !strings.Contains(d.Shared, "Gather") || d.AddedBytes != 97*32+97*4 || q.Weight(d.Weight) == nil {
		t.Errorf("tied: %+v", d)
	}
	for _, d := range decisions[:len(decisions)-1] {
		if d.Quantized || d.AddedBytes != 0 || d.Shared != "" {
			t.Errorf("not taken: %+v", d)
		}
	}
	twice := layouts["MatMul"].graph(t)
	g := twice.Graph()
	g.Node = append(g.Node, onnx.Node("MatMul", "again", []string{"x", "w"}, []string{"z"}))
	g.Output = append(g.Output, onnx.ValueInfo("z", onnx.Float32, onnx.Sym("n"), onnx.Fixed(6)))
	table := &calib.Table{Ranges: map[string]calib.Range{"x": {Lo: -1, Hi: 1, Amax: 1}}}
	if q, decisions, err = Int8(twice, table, everything()); err != nil {
		t.Fatal(err)
	}
	if a, b := decisions[0], decisions[1]; a.AddedBytes != 24+24-96 || b.AddedBytes != 0 || a.Shared != "" || q.Weight("w") != nil {
		t.Errorf("both quantized: %+v, %+v", a, b)
	}
	// One of them alone, and the weight itself as an output.
	for name, change := range map[string]func(){
		"again":              func() {},
		"the model's output": func() { g.Output = append(g.Output, onnx.ValueInfo("w", onnx.Float32, onnx.Fixed(4), onnx.Fixed(6))) },
	} {
		change()
		p := everything()
		p.Exclude = map[string]bool{"again": name == "again"}
		q, decisions, err = Int8(twice, table, p)
		if err != nil {
			t.Fatal(err)
		}
		if d := decisions[0]; !strings.Contains(d.Shared, name) || d.AddedBytes != 48 || q.Weight("w") == nil {
			t.Errorf("%s: %+v", name, d)
		}
		if err := onnx.Check(q); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChosenScales: who chooses a weight's scales is obeyed, and held to what a
// scale must be.
func TestChosenScales(t *testing.T) {
	m := layouts["Gemm, transB"].graph(t)
	for name, chosen := range map[string][]float32{
		"": {1, 2, 3, 4, 5, 6}, "5 scales": {1, 2, 3, 4, 5}, "scale 3 is 0": {1, 1, 1, 0, 1, 1}, "scale 5 is NaN": {1, 1, 1, 1, 1, float32(math.NaN())},
	} {
		p := Policy{WeightOnly: true, Roles: everything().Roles, Scales: func(w *onnx.Weight, axis int) ([]float32, error) {
			if w.Name != "w" || axis != 0 || !slices.Equal(w.Dims, []int64{6, 4}) {
				t.Errorf("asked for axis %d of %s %v", axis, w.Name, w.Dims)
			}
			return chosen, nil
		}}
		q, _, err := Int8(m, nil, p)
		if name != "" {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := q.Weight("w/scale").Float32s(); err != nil || !slices.Equal(got, chosen) {
			t.Errorf("%v, %v", got, err)
		}
	}
}

// TestDemoKeepsItsPerplexity holds the demo model to what is promised:
// FP16 within 0.05 % of FP32, INT8 of QKV and FC1 within 0.2 %, alone and with
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
	m := quanttest.Opened(t)(export.GPT2(model, export.Options{}))
	q, _, err := Int8(m, calibrated(t, m, Policy{}, filepath.Join(dir, "calibrate")), Policy{})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"perplexity", filepath.Join(dir, "evaluate"), quanttest.Saved(t, m, dir, "fp32"), quanttest.Saved(t, halfOf(t, m), dir, "fp16"), quanttest.Saved(t, q, dir, "int8"), quanttest.Saved(t, halfOf(t, q), dir, "both")}
	var ppl []float64
	for _, line := range quanttest.Oracle(t, args...) {
		ppl = append(ppl, quanttest.Decode[float64](t, line))
	}
	for i, limit := range []float64{0, 0.0005, 0.002, 0.002} {
		cost := ppl[i]/ppl[0] - 1
		t.Logf("%s: perplexity %.4f, %+.4f %%", filepath.Base(args[2+i]), ppl[i], 100*cost)
		if cost > limit {
			t.Errorf("%s costs %.3f %%, %.2f %% are allowed", filepath.Base(args[2+i]), 100*cost, 100*limit)
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
