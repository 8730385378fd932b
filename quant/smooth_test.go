package quant

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// full takes all products but lm_head.
func full() Policy { return Policy{Roles: []Role{QKV, AttnOut, FC1, FC2}} }

func judge(t *testing.T, args ...string) [][]byte {
	t.Helper()
	return quanttest.Script(t, testenv.Python(t, "oracle"), "smooth.py", args...)
}

// sample is where windows come from: a file of ids, how many and how long;
// nothing means random ids.
type sample []string

// channelled is the table with channels that numpy makes of what ONNX Runtime
// computes.
func channelled(t *testing.T, m *onnx.Model, p Policy, s sample) *calib.Table {
	t.Helper()
	targets, err := Targets(m, p)
	if err != nil {
		t.Fatal(err)
	}
	return seen(t, m, Observe(targets), s)
}

func seen(t *testing.T, m *onnx.Model, tensors []string, s sample) *calib.Table {
	t.Helper()
	cut, err := calib.Cut(m, tensors)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out := filepath.Join(dir, "table.json")
	judge(t, append([]string{"channels", quanttest.Saved(t, cut, dir, "cut"), out}, s...)...)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return &calib.Table{Model: digest, Ranges: quanttest.Decode[map[string]calib.Range](t, b)}
}

func smoothed(t *testing.T, m *onnx.Model, table *calib.Table, o SmoothOptions) (*onnx.Model, *calib.Table, []Fold) {
	t.Helper()
	s, table, folds, err := Smooth(m, table, o)
	if err != nil {
		t.Fatal(err)
	}
	return s, table, folds
}

// checkSmooth folds everything that can be in each decoder: the float32 graph
// answers as before, on prompts and on its own cache, and the table is that of
// the new graph.
func checkSmooth(t *testing.T, all map[string]*onnx.Model) {
	into := map[string][]string{ // what takes the factors of each layer's inputs
		"ours":  {"LayerNormalization", "MatMul", "LayerNormalization", ""},
		"gpt2":  {"LayerNormalization", "Gemm", "LayerNormalization", "Mul"},
		"opt":   {"LayerNormalization", "MatMul", "LayerNormalization", "Gemm"},
		"llama": {"Mul", "MatMul", "Mul", "MatMul"},
	}
	nodes := map[string]int{"ours": 4, "gpt2": 2, "opt": 2, "llama": 0} // that two layers add
	for name, m := range all {
		table := seen(t, m, floats(t, m), nil)
		s, after, folds := smoothed(t, m, table, SmoothOptions{Policy: full(), Alphas: []float64{0.5}})
		if len(folds) != 8 {
			t.Errorf("%s: %d groups, want 4 in each of 2 layers", name, len(folds))
		}
		ops := map[string]string{}
		for _, n := range m.Graph().GetNode() {
			ops[graph.Label(n)] = n.GetOpType()
		}
		added := 0
		for i, f := range folds {
			added += len(f.Added)
			if _, known := after.Ranges[f.Tensor]; !known {
				t.Errorf("%s: the table has lost %s, by which float16 is judged", name, f.Tensor)
			}
			if want := into[name][i%4]; !f.Folded || ops[f.Into] != want || f.KV != (f.Role == AttnOut) || f.Layer != i/4 {
				t.Errorf("%s: %+v, want it folded into %q", name, f, want)
			}
		}
		if added != nodes[name] {
			t.Errorf("%s: %d nodes are added, want %d", name, added, nodes[name])
		}
		if err := onnx.Check(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		dir := t.TempDir()
		got := quanttest.Decode[struct{ Logits, Cache float64 }](t, judge(t, "same", quanttest.Saved(t, m, dir, "before"), quanttest.Saved(t, s, dir, "after"), "200")[0])
		t.Logf("%s: logits differ by %.2g of the largest, the cache by %.2g", name, got.Logits, got.Cache)
		if !(got.Logits <= 1e-5) || got.Cache < 1e-3 {
			t.Errorf("%s: logits differ by %g of the largest; the cache by %g, which a fold into values must show", name, got.Logits, got.Cache)
		}
		checkSmoothTable(t, name, s, after)
		if _, _, err := Int8(s, after, full()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := Int8(m, after, full()); fault.Classify(err) != fault.Input {
			t.Errorf("%s: the folded graph's table on the graph before: %v", name, err)
		}
		before, err := contract.Infer(m)
		if err != nil {
			t.Fatal(err)
		}
		now, err := contract.Infer(s)
		if err != nil {
			t.Fatal(err)
		}
		if before.KVScale != "" || len(now.KVScale) != 64 || contract.Interchangeable(before, now) == nil {
			t.Errorf("%s: the contracts say %q and %q of the cache", name, before.KVScale, now.KVScale)
		}
	}
}

// floats are all values of float32 that nodes of m make and that are no outputs.
func floats(t *testing.T, m *onnx.Model) (names []string) {
	t.Helper()
	types, err := graph.ElementTypes("testing", m)
	if err != nil {
		t.Fatal(err)
	}
	x := graph.NewIndex(m.Graph())
	for _, n := range m.Graph().GetNode() {
		for _, out := range n.GetOutput() {
			if n.GetOpType() != "Constant" && types[out] == onnx.Float32 && !x.Outputs[out] {
				names = append(names, out)
			}
		}
	}
	return names
}

// checkSmoothTable holds a folded table against what the folded graph computes:
// what products take exactly, everything else as a bound.
func checkSmoothTable(t *testing.T, name string, m *onnx.Model, table *calib.Table) {
	t.Helper()
	targets, err := Targets(m, full())
	if err != nil {
		t.Fatal(err)
	}
	inputs := Observe(targets)
	want := seen(t, m, floats(t, m), nil)
	near := func(a, b, of float32) bool { return math.Abs(float64(a)-float64(b)) <= 1e-4*float64(of) }
	for tensor, w := range want.Ranges {
		g, known := table.Ranges[tensor]
		if !slices.Contains(inputs, tensor) {
			if room := 1e-4 * max(w.Amax, 1e-2); known && (g.Lo > w.Lo+room || g.Hi < w.Hi-room || g.Amax < w.Amax-room) {
				t.Errorf("%s: the table bounds %s by %g..%g, the graph makes %g..%g", name, tensor, g.Lo, g.Hi, w.Lo, w.Hi)
			}
			continue
		}
		if g.Channels == nil || !near(g.Lo, w.Lo, w.Amax) || !near(g.Hi, w.Hi, w.Amax) || !near(g.Amax, w.Amax, w.Amax) {
			t.Errorf("%s: the table says %g..%g of %s, the graph makes %g..%g", name, g.Lo, g.Hi, tensor, w.Lo, w.Hi)
			continue
		}
		for j := range w.Channels.Lo {
			g, w, of := g.Channels, w.Channels, max(-w.Channels.Lo[j], w.Channels.Hi[j], 1e-2)
			if !near(g.Lo[j], w.Lo[j], of) || !near(g.Hi[j], w.Hi[j], of) || !near(g.RMS[j], w.RMS[j], 10*of) || !near(g.Mean[j], w.Mean[j], 10*of) {
				t.Fatalf("%s: channel %d of %s: the table says %g..%g rms %g mean %g, the graph makes %g..%g rms %g mean %g", name, j, tensor,
					g.Lo[j], g.Hi[j], g.RMS[j], g.Mean[j], w.Lo[j], w.Hi[j], w.RMS[j], w.Mean[j])
			}
		}
	}
}

// TestPredictedError: what the closed form predicts of a fold, before and after,
// is what numpy measures on ONNX Runtime's activations within a tenth, but where
// many values of an activation are nearer to 0 than half a step.
func TestPredictedError(t *testing.T) {
	m, text := demo(t)
	s := sample{text["calibrate"], "32", "128"}
	table := channelled(t, m, full(), s)
	after, afterTable, folds := smoothed(t, m, table, SmoothOptions{Policy: full()})
	measure := func(m *onnx.Model, table *calib.Table) []float64 {
		type product struct {
			Tensor  string  `json:"tensor"`
			Weight  string  `json:"weight"`
			Amax    float32 `json:"amax"`
			Centred bool    `json:"centred"`
		}
		targets, err := Targets(m, full())
		if err != nil {
			t.Fatal(err)
		}
		var all []product
		for _, target := range targets {
			r := table.Ranges[target.Activation]
			all = append(all, product{target.Activation, target.Weight, r.Amax, r.Centred})
		}
		dir := t.TempDir()
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "products"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		var got []float64
		for _, line := range judge(t, append([]string{"errors", quanttest.Saved(t, m, dir, "m"), filepath.Join(dir, "products")}, s...)...) {
			got = append(got, quanttest.Decode[float64](t, line))
		}
		return got
	}
	before, now := measure(m, table), measure(after, afterTable)
	for i, f := range folds {
		limit := 0.1
		if f.Role == FC2 {
			limit = 1
		}
		t.Logf("layer %d %-8s alpha %.1f: predicted %.3g -> %.3g, measured %.3g -> %.3g", f.Layer, f.Role, f.Alpha, f.Before, f.After, before[i], now[i])
		if off := math.Abs(before[i]/f.Before - 1); off > limit {
			t.Errorf("%s: predicted %g, measured %g", f.Tensor, f.Before, before[i])
		}
		if off := math.Abs(now[i]/f.After - 1); off > 0.1 {
			t.Errorf("%s, folded: predicted %g, measured %g", f.Tensor, f.After, now[i])
		}
	}
}

// small is norm -> product(s), with what the change adds.
func small(op string, change func(m *onnx.Model)) *onnx.Model {
	m := onnx.New("g")
	g := m.Graph()
	g.Input = []*onnxpb.ValueInfoProto{onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4))}
	g.Output = []*onnxpb.ValueInfoProto{onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4))}
	m.SetWeight(onnx.Floats("gain", []int64{4}, 1, 2, 3, 4))
	m.SetWeight(onnx.Floats("w", []int64{4, 4}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2))
	g.Node = []*onnxpb.NodeProto{
		onnx.Node(op, "norm", []string{"x", "gain"}, []string{"normed"}),
		onnx.Node("MatMul", "product", []string{"normed", "w"}, []string{"y"}),
	}
	change(m)
	return m
}

// TestSmoothRefuses: where a fold would change something else, nothing is folded
// and the fold says why.
func TestSmoothRefuses(t *testing.T) {
	add := func(m *onnx.Model, n *onnxpb.NodeProto) {
		m.Graph().Node = append(m.Graph().Node, n)
		m.Graph().Output = append(m.Graph().Output, onnx.ValueInfo(n.GetOutput()[0], onnx.Float32, onnx.Sym("n"), onnx.Fixed(4)))
	}
	channels := &calib.Channels{Lo: []float32{-1, -2, -30, -4}, Hi: []float32{4, 3, 2, 1}, RMS: []float32{1, 1, 1, 1}}
	for name, c := range map[string]struct {
		op       string
		change   func(m *onnx.Model)
		channels *calib.Channels
		want     string
	}{
		"nothing in the way": {"RMSNormalization", func(*onnx.Model) {}, channels, ""},
		"a residual": {"RMSNormalization", func(m *onnx.Model) {
			add(m, onnx.Node("Add", "residual", []string{"normed", "x"}, []string{"z"}))
		}, channels, `also goes to node "residual"`},
		"an output": {"RMSNormalization", func(m *onnx.Model) {
			m.Graph().Output = append(m.Graph().Output, onnx.ValueInfo("normed", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4)))
		}, channels, "the graph's output"},
		"a shared weight": {"RMSNormalization", func(m *onnx.Model) {
			add(m, onnx.Node("MatMul", "other", []string{"x", "w"}, []string{"z"}))
		}, channels, `weight "w" is not float32 or has other users`},
		"a weight that goes out": {"RMSNormalization", func(m *onnx.Model) {
			m.Graph().Output = append(m.Graph().Output, onnx.ValueInfo("w", onnx.Float32, onnx.Fixed(4), onnx.Fixed(4)))
		}, channels, `weight "w"`},
		"no channels":    {"RMSNormalization", func(*onnx.Model) {}, nil, "the table has no channels"},
		"other channels": {"RMSNormalization", func(*onnx.Model) {}, &calib.Channels{Lo: []float32{1}, Hi: []float32{1}, RMS: []float32{1}}, "the table has no channels"},
		"a computed gain": {"RMSNormalization", func(m *onnx.Model) {
			m.Graph().Node[0].Input[1] = "x"
		}, channels, "no constant gain"},
		"no gain":         {"RMSNormalization", func(m *onnx.Model) { m.Graph().Node[0].Input = []string{"x"} }, channels, "has no gain"},
		"a gain left out": {"LayerNormalization", func(m *onnx.Model) { m.Graph().Node[0].Input = []string{"x", "", "gain"} }, channels, "has no gain"},
		"channels that are rows": {"RMSNormalization", func(m *onnx.Model) {
			m.Graph().Input[0] = onnx.ValueInfo("x", onnx.Float32, onnx.Fixed(4), onnx.Fixed(4))
			m.Graph().Node[1] = onnx.Node("Gemm", "product", []string{"normed", "w"}, []string{"y"}, "transA", 1)
		}, channels, `also goes to node "product"`},
		"its own bias": {"RMSNormalization", func(m *onnx.Model) {
			m.Graph().Node[1] = onnx.Node("Gemm", "product", []string{"normed", "w", "normed"}, []string{"y"})
		}, channels, `also goes to node "product"`},
		"a square": {"Relu", func(m *onnx.Model) {
			m.SetWeight(onnx.Floats("up", []int64{4, 4}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 2))
			m.Graph().Node = []*onnxpb.NodeProto{
				onnx.Node("Mul", "double", []string{"x", "gain"}, []string{"scaled"}),
				onnx.Node("Relu", "relu", []string{"scaled"}, []string{"positive"}),
				onnx.Node("Mul", "square", []string{"positive", "positive"}, []string{"normed"}),
				onnx.Node("MatMul", "product", []string{"normed", "w"}, []string{"y"}),
			}
		}, channels, `positive goes to node "square" twice`},
		"columns that are summed": {"Identity", func(m *onnx.Model) {
			three := []onnx.Dim{onnx.Fixed(1), onnx.Fixed(1), onnx.Fixed(4)}
			m.Graph().Input[0], m.Graph().Output[0] = onnx.ValueInfo("x", onnx.Float32, three...), onnx.ValueInfo("y", onnx.Float32, three...)
			m.SetWeight(onnx.Floats("wide", []int64{4, 16}, make([]float32, 64)...))
			m.SetWeight(onnx.Ints("square", []int64{3}, 1, 4, 4))
			m.Graph().Node = []*onnxpb.NodeProto{
				onnx.Node("MatMul", "all", []string{"x", "wide"}, []string{"flat"}),
				onnx.Node("Reshape", "cut", []string{"flat", "square"}, []string{"made"}),
				onnx.Node("Identity", "same", []string{"x"}, []string{"left"}),
				onnx.Node("MatMul", "use", []string{"left", "made"}, []string{"normed"}),
				onnx.Node("MatMul", "product", []string{"normed", "w"}, []string{"y"}),
			}
		}, channels, "cannot be followed to its values"},
		"a softmax": {"Softmax", func(m *onnx.Model) { m.Graph().Node[0].Input = []string{"x"} }, channels, "does not commute"},
	} {
		m := small(c.op, c.change)
		table := &calib.Table{Ranges: map[string]calib.Range{"normed": {Lo: -30, Hi: 4, Amax: 30, Channels: c.channels}}}
		s, after, folds, err := Smooth(m, table, SmoothOptions{Policy: everything(), Alphas: []float64{0.5}, NoNodes: true})
		if err != nil || len(folds) == 0 {
			t.Fatalf("%s: %v, %v", name, folds, err)
		}
		f := folds[slices.IndexFunc(folds, func(f Fold) bool { return f.Tensor == "normed" })]
		if f.Folded != (c.want == "") || !strings.Contains(f.Reason, c.want) {
			t.Errorf("%s: %+v, want %q", name, f, c.want)
		}
		if !f.Folded && (s != m || after != table) {
			t.Errorf("%s: nothing was folded, and the graph is another", name)
		}
	}
	for _, a := range []float64{-0.1, 1.1, math.NaN()} {
		if _, _, _, err := Smooth(small("Softmax", func(*onnx.Model) {}), &calib.Table{}, SmoothOptions{Alphas: []float64{a}}); fault.Classify(err) != fault.Usage {
			t.Errorf("alpha %g: %v", a, err)
		}
	}
}

// TestKeepKV: the default leaves the cache as it is, and so does whoever asks for it.
func TestKeepKV(t *testing.T) {
	m := quanttest.GPT2(t)
	table := channelled(t, m, full(), nil)
	for name, o := range map[string]SmoothOptions{"default": {}, "all, kept": {Policy: full(), KeepKV: true}} {
		s, _, folds := smoothed(t, m, table, o)
		kv := slices.ContainsFunc(folds, func(f Fold) bool { return f.KV })
		marked := slices.ContainsFunc(s.Proto.GetMetadataProps(), func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == contract.MetaKVScale })
		if kv || marked || len(folds) == 0 {
			t.Errorf("%s: %+v, marked %v", name, folds, marked)
		}
	}
}

// TestFirstPassKV: the values that a graph without a past gives out are a cache,
// too (optimum's decoder_model.onnx).
func TestFirstPassKV(t *testing.T) {
	m := quanttest.GPT2(t)
	g := m.Graph()
	past := func(name string) bool { return strings.HasPrefix(name, "past_key_values") }
	for _, n := range g.GetNode() {
		if n.GetOpType() == "Concat" && past(n.GetInput()[0]) {
			n.OpType, n.Input, n.Attribute = "Identity", n.GetInput()[1:], nil
		}
	}
	g.Input = slices.DeleteFunc(g.Input, func(v *onnxpb.ValueInfoProto) bool { return past(v.GetName()) })
	ranges := map[string]calib.Range{}
	all, err := Linears(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range all {
		c := &calib.Channels{Lo: make([]float32, target.In), Hi: make([]float32, target.In), RMS: make([]float32, target.In)}
		for j := range c.Hi {
			c.Hi[j], c.RMS[j] = float32(j+1), 1
		}
		ranges[target.Activation] = calib.Range{Hi: float32(target.In), Amax: float32(target.In), Channels: c}
	}
	for _, keep := range []bool{false, true} {
		s, _, folds := smoothed(t, m, &calib.Table{Ranges: ranges}, SmoothOptions{Policy: Policy{Roles: []Role{AttnOut}}, Alphas: []float64{0.5}, KeepKV: keep})
		marked := slices.ContainsFunc(s.Proto.GetMetadataProps(), func(p *onnxpb.StringStringEntryProto) bool { return p.GetKey() == contract.MetaKVScale })
		if f := folds[0]; f.Folded == keep || f.KV == keep || marked == keep {
			t.Errorf("keep %v: %+v, marked %v", keep, f, marked)
		}
	}
}

// TestNodesNeedWhatMakesTheirInput: behind an input of the graph no node is added.
func TestNodesNeedWhatMakesTheirInput(t *testing.T) {
	m := small("RMSNormalization", func(m *onnx.Model) {
		m.Graph().Node[1] = onnx.Node("MatMul", "bias", []string{"normed", "gain2"}, []string{"b"})
		m.Graph().Node = append(m.Graph().Node, onnx.Node("Gemm", "product", []string{"z", "w", "b"}, []string{"y"}))
		m.Graph().Input = append(m.Graph().Input, onnx.ValueInfo("z", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4)))
		m.SetWeight(onnx.Floats("gain2", []int64{4, 4}, make([]float32, 16)...))
	})
	channels := &calib.Channels{Lo: []float32{-1, -2, -30, -4}, Hi: []float32{4, 3, 2, 1}, RMS: []float32{1, 1, 1, 1}}
	s, _, folds := smoothed(t, m, &calib.Table{Ranges: map[string]calib.Range{"z": {Lo: -30, Hi: 4, Amax: 30, Channels: channels}}},
		SmoothOptions{Policy: Policy{Roles: []Role{FC2}}, Alphas: []float64{0.5}})
	if len(folds) != 1 || folds[0].Folded || onnx.Check(s) != nil {
		t.Errorf("%+v, %v", folds, onnx.Check(s))
	}
}

// demo is the demo model of our export, and the files of its texts' token ids.
func demo(t *testing.T) (*onnx.Model, map[string]string) {
	t.Helper()
	return loaded(t, filepath.Join(testenv.Root(t), "examples", "demo", "model"), map[string][]byte{
		"calibrate": testenv.DemoText(t, "calibrate"), "evaluate": testenv.DemoText(t, "evaluate")})
}

func itoa(n int) string { return strconv.Itoa(n) }
