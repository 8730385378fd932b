package half

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// narrowed is what narrow makes of values.
func narrowed(t *testing.T, to onnx.DType, values []float32) []uint16 {
	t.Helper()
	w, err := narrow(onnx.Floats("w", []int64{int64(len(values))}, values...), to, false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got := make([]uint16, len(values))
	for i := range got {
		got[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return got
}

// TestNarrowRounds converts, of both types, each of the 65,536 values, which
// stay what they are, and what lies between two neighbours: the tie goes to the
// even one, what is next to the tie to the nearer one.
func TestNarrowRounds(t *testing.T) {
	for _, to := range []onnx.DType{onnx.Float16, onnx.BFloat16} {
		bits := make([]byte, 0, 2<<16)
		for i := range 1 << 16 {
			bits = binary.LittleEndian.AppendUint16(bits, uint16(i))
		}
		all, err := (&onnx.Weight{Type: to, Dims: []int64{1 << 16}, Data: onnx.Memory(bits)}).Float32s()
		if err != nil {
			t.Fatal(err)
		}
		var values []float32
		var want []uint16
		for i, v := range all {
			if v != v {
				continue
			}
			values, want = append(values, v), append(want, uint16(i))
			if i&0x7fff == 0x7fff || math.IsInf(float64(all[i+1]), 0) || math.IsInf(float64(v), 0) {
				continue
			}
			// The middle is exact in float32, bfloat16's subnormals included.
			middle := float32((float64(v) + float64(all[i+1])) / 2)
			values = append(values, middle, math.Nextafter32(middle, v), math.Nextafter32(middle, all[i+1]))
			want = append(want, uint16(i+i&1), uint16(i), uint16(i+1))
		}
		for i, got := range narrowed(t, to, values) {
			if got != want[i] {
				t.Fatalf("%s: %v became %04x, want %04x", to, values[i], got, want[i])
			}
		}
	}
}

// TestNarrowIsNumpys converts what rounding can get wrong: ties, subnormals, the
// edge of the range and a mask's constants, bit for bit as numpy does.
func TestNarrowIsNumpys(t *testing.T) {
	values := []float32{0, float32(math.Copysign(0, -1)), 1, 65504, 65519.996, 65520, 1e9, -math.MaxFloat32, float32(math.Inf(-1)),
		2049, 2051, 1.0004883, 5.9604645e-8, 2.9802322e-8, 2.98023224e-8 * 1.0001, 1e-10, 6.1e-5}
	r := rand.New(rand.NewPCG(1, 1))
	for range 100_000 {
		v := math.Float32frombits(r.Uint32())
		if v == v {
			values = append(values, v, float32(r.NormFloat64()))
		}
	}
	for _, to := range []onnx.DType{onnx.Float16, onnx.BFloat16} {
		dir := t.TempDir()
		in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
		if err := os.WriteFile(in, quanttest.Raw(values), 0o600); err != nil {
			t.Fatal(err)
		}
		quanttest.Oracle(t, "half", in, out, to.String())
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range narrowed(t, to, values) {
			if w := binary.LittleEndian.Uint16(want[2*i:]); got != w {
				t.Fatalf("%s: %v became %04x, numpy %04x", to, values[i], got, w)
			}
		}
	}
}

func TestNarrowScalesStayPositive(t *testing.T) {
	if b := narrowBits(1e-9, onnx.Float16, true); b != 1 {
		t.Errorf("a scale of 1e-9 became %04x, want the smallest positive float16", b)
	}
	if b := narrowBits(0, onnx.Float16, true); b != 0 {
		t.Errorf("zero became %04x", b)
	}
	if b := narrowBits(1e-44, onnx.BFloat16, true); b != 1 {
		t.Errorf("a scale of 1e-44 became %04x, want the smallest positive bfloat16", b)
	}
}

func TestHalfRefusesNaNWhenWeightsAreRead(t *testing.T) {
	m := onnx.New("g")
	m.SetWeight(onnx.Floats("w", []int64{2}, 1, float32(math.NaN())))
	g := m.Graph()
	g.Input = append(g.Input, onnx.ValueInfo("x", onnx.Float32, onnx.Fixed(2)))
	g.Output = append(g.Output, onnx.ValueInfo("y", onnx.Float32, onnx.Fixed(2)))
	g.Node = append(g.Node, onnx.Node("Add", "add", []string{"x", "w"}, []string{"y"}))
	h := typed(t, m, Options{})
	err := onnx.Save(h, filepath.Join(t.TempDir(), "m.onnx"), onnx.SaveOptions{})
	if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "w") || !strings.Contains(err.Error(), "element 1 is NaN") {
		t.Errorf("%v, want an input error that names the element", err)
	}
}

// masked is attention's scores with two masks as some exporters write them:
// -3.4e38 by Where and again by Add. In float16 their sum is -inf.
func masked() *onnx.Model {
	m := onnx.New("g")
	m.SetWeight(onnx.Floats("lowest", nil, -math.MaxFloat32))
	m.SetWeight(onnx.Floats("one", nil, 1))
	g := m.Graph()
	square := []onnx.Dim{onnx.Sym("s"), onnx.Sym("s")}
	g.Input = []*onnxpb.ValueInfoProto{onnx.ValueInfo("q", onnx.Float32, square...), onnx.ValueInfo("causal", onnx.Bool, square...), onnx.ValueInfo("mask", onnx.Int64, square...)}
	g.Output = []*onnxpb.ValueInfoProto{onnx.ValueInfo("p", onnx.Float32, square...), onnx.ValueInfo("elsewhere", onnx.Float32, square...)}
	g.Node = []*onnxpb.NodeProto{
		onnx.Node("Cast", "valid", []string{"mask"}, []string{"valid"}, "to", onnx.Float32),
		onnx.Node("Sub", "pad", []string{"one", "valid"}, []string{"pad"}),
		onnx.Node("Mul", "bias", []string{"pad", "lowest"}, []string{"bias"}),
		onnx.Node("MatMul", "scores", []string{"q", "q"}, []string{"scores"}),
		onnx.Node("Where", "where", []string{"causal", "scores", "lowest"}, []string{"future"}),
		onnx.Node("Add", "add", []string{"future", "bias"}, []string{"masked"}),
		onnx.Node("Softmax", "softmax", []string{"masked"}, []string{"probabilities"}),
		onnx.Node("MatMul", "values", []string{"probabilities", "q"}, []string{"p"}),
		onnx.Node("MatMul", "far", []string{"q", "q"}, []string{"far"}),
		onnx.Node("Max", "max", []string{"far", "lowest"}, []string{"elsewhere"}),
	}
	return m
}

func TestHalfAddsMasksWhereTheyFit(t *testing.T) {
	h := typed(t, masked(), Options{})
	types, err := graph.ElementTypes("testing", h)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"valid", "pad", "bias", "future", "masked", "probabilities", "lowest"} {
		if types[value] != onnx.Float32 {
			t.Errorf("%s is %s, want float: masks are added before the Softmax", value, types[value])
		}
	}
	for _, value := range []string{"scores", "far", "lowest/float16"} {
		if types[value] != onnx.Float16 {
			t.Errorf("%s is %s, want float16", value, types[value])
		}
	}
	lowest, err := h.Weight("lowest/float16").Float32s()
	if err != nil || lowest[0] != -maxHalf {
		t.Errorf("outside of attention the mask's constant is %v, %v, want -65504", lowest, err)
	}
}

// TestHalfIsTypedThroughout holds the converted graph to its rules.
func TestHalfIsTypedThroughout(t *testing.T) {
	m := quanttest.GPT2(t)
	before, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	h := typed(t, m, Options{})
	if after, err := m.Digest(); err != nil || after != before {
		t.Errorf("the model itself changed: %s, %s, %v", before, after, err)
	}
	types, err := graph.ElementTypes("testing", h)
	if err != nil {
		t.Fatal(err)
	}
	cast := map[string]bool{}
	for _, n := range h.Graph().GetNode() {
		want := onnx.Float16
		switch n.GetOpType() {
		case "LayerNormalization", "Softmax":
			want = onnx.Float32
		case "Cast":
			key := n.GetInput()[0] + onnx.DType(onnx.AttrInt(n, "to", 0)).String()
			if cast[key] {
				t.Errorf("%s is cast twice to the same type", n.GetInput()[0])
			}
			cast[key] = true
			continue
		case "MatMul", "Gather", "Gelu", "Concat":
		default:
			continue
		}
		for _, in := range n.GetInput() {
			if types[in].IsFloat() && types[in] != want {
				t.Errorf("%s %s takes %s of %s, want %s", n.GetOpType(), n.GetName(), in, types[in], want)
			}
		}
	}
	for _, v := range h.Graph().GetValueInfo() {
		if stated, _ := onnx.TypeOf(v); stated != types[v.GetName()] {
			t.Errorf("%s is stated as %s and is %s", v.GetName(), stated, types[v.GetName()])
		}
	}
	if err := onnx.Check(h); err != nil {
		t.Error(err)
	}
	if ratio := float64(h.Size()) / float64(m.Size()); ratio > 0.56 {
		t.Errorf("weights are %.2f of the float32 ones", ratio)
	}
}

func TestIOTypes(t *testing.T) {
	m := quanttest.GPT2(t)
	for _, c := range []struct {
		choices []string
		want    map[string]onnx.DType // nil: refused
	}{
		{nil, map[string]onnx.DType{"logits": onnx.Float32, "present.0.key": onnx.Float16, "past_key_values.1.value": onnx.Float16}},
		{[]string{"fp32"}, map[string]onnx.DType{"logits": onnx.Float32, "present.0.key": onnx.Float32, "past_key_values.1.value": onnx.Float32}},
		{[]string{"fp16", "present.0.key=fp32"}, map[string]onnx.DType{"logits": onnx.Float16, "present.0.key": onnx.Float32, "present.0.value": onnx.Float16}},
		{[]string{"kv=bf16"}, map[string]onnx.DType{"logits": onnx.Float32, "present.0.key": onnx.BFloat16, "past_key_values.1.value": onnx.BFloat16}},
		{[]string{"int8"}, nil}, {[]string{"logits="}, nil}, {[]string{"nothing=fp16"}, nil}, {[]string{"input_ids=fp16"}, nil},
	} {
		io, err := IOTypes(m, c.choices...)
		if err == nil {
			var h *onnx.Model
			if h, _, err = Convert(m, Options{IO: io}); err == nil {
				for _, v := range slices.Concat(h.Graph().GetInput(), h.Graph().GetOutput()) {
					if want, asked := c.want[v.GetName()]; asked {
						if got, _ := onnx.TypeOf(v); got != want {
							t.Errorf("%q: %s is %s, want %s", c.choices, v.GetName(), got, want)
						}
					}
				}
			}
		}
		if (err != nil) != (c.want == nil) || err != nil && fault.Classify(err) != fault.Usage {
			t.Errorf("%q: %v", c.choices, err)
		}
	}
}

func TestHalfOptions(t *testing.T) {
	m := quanttest.GPT2(t)
	h, _, err := Convert(m, Options{
		IO:     map[string]onnx.DType{"past_key_values.0.key": onnx.Float32, "present.0.key": onnx.Float32, "logits": onnx.Float16},
		Single: map[string]bool{"/h.1/mlp/c_proj/MatMul": true},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]onnx.DType{}
	for _, v := range slices.Concat(h.Graph().GetInput(), h.Graph().GetOutput()) {
		got[v.GetName()], _ = onnx.TypeOf(v)
	}
	types, err := graph.ElementTypes("testing", h)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]onnx.DType{
		"past_key_values.0.key": onnx.Float32, "past_key_values.0.value": onnx.Float16, "present.0.key": onnx.Float32,
		"present.1.key": onnx.Float16, "logits": onnx.Float16, "input_ids": onnx.Int64,
	} {
		if got[name] != want || types[name] != want {
			t.Errorf("%s is stated as %s and is %s, want %s", name, got[name], types[name], want)
		}
	}
	if types["/h.1/mlp/c_proj/MatMul_output_0"] != onnx.Float32 || types["/h.0/mlp/c_proj/MatMul_output_0"] != onnx.Float16 {
		t.Error("the named node, and only that, should compute in float32")
	}
}

func TestHalfRefusals(t *testing.T) {
	branch := masked()
	branch.Graph().Node = append(branch.Graph().Node, &onnxpb.NodeProto{OpType: "If", Name: "merged", Attribute: []*onnxpb.AttributeProto{{Name: "then_branch", G: &onnxpb.GraphProto{}}}})
	functions := masked()
	functions.Proto.Functions = []*onnxpb.FunctionProto{{Name: "gelu"}}
	untyped := masked()
	untyped.Graph().Node = append(untyped.Graph().Node, &onnxpb.NodeProto{OpType: "Mystery", Domain: "com.example", Name: "odd", Input: []string{"q"}, Output: []string{"odd_out"}})
	dangling := masked()
	dangling.Graph().Node[0].Input[0] = "nowhere"
	short := quanttest.Quantized()
	short.Graph().Node[0].Input = short.Graph().Node[0].Input[:1]
	silent := masked()
	silent.Graph().Node[0].Output = nil
	old := quanttest.Quantized()
	old.Proto.OpsetImport[0].Version = 17
	for name, c := range map[string]struct {
		m    *onnx.Model
		want string
	}{
		"control flow": {branch, "merged"}, "functions": {functions, "gelu"}, "unknown operator": {untyped, "odd_out"},
		"dangling input": {dangling, "nowhere"}, "old opset": {old, "opset 17"},
		"no scale": {short, "1 inputs"}, "no output": {silent, "0 outputs"},
	} {
		if _, _, err := Convert(c.m, Options{}); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an input error with %q", name, err, c.want)
		}
	}
}

func TestHalfRefusesTypesThatAreNot(t *testing.T) {
	old := masked()
	old.Proto.OpsetImport[0].Version = 12
	if _, _, err := Convert(old, Options{Type: onnx.BFloat16}); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "13 is needed") {
		t.Errorf("bfloat16 before opset 13: %v", err)
	}
	if _, _, err := Convert(masked(), Options{Type: onnx.Float64}); fault.Classify(err) != fault.Usage {
		t.Errorf("double: %v", err)
	}
}

// TestFusedAttentionSumsInSingle: opset 23's Attention hides its Softmax, and
// has an attribute for it.
func TestFusedAttentionSumsInSingle(t *testing.T) {
	m := onnx.New("g")
	m.Proto.OpsetImport[0].Version = 23
	cube := []onnx.Dim{onnx.Fixed(1), onnx.Fixed(2), onnx.Sym("s"), onnx.Fixed(8)}
	g := m.Graph()
	for _, name := range []string{"q", "k", "v"} {
		g.Input = append(g.Input, onnx.ValueInfo(name, onnx.Float32, cube...))
	}
	g.Output = append(g.Output, onnx.ValueInfo("y", onnx.Float32, cube...))
	g.Node = append(g.Node, onnx.Node("Attention", "attention", []string{"q", "k", "v"}, []string{"y"}))
	for _, n := range typed(t, m, Options{}).Graph().GetNode() {
		if n.GetOpType() == "Attention" && onnx.AttrInt(n, "softmax_precision", 0) != int64(onnx.Float32) {
			t.Errorf("its Softmax computes in %v", n.GetAttribute())
		}
	}
}
