package lint

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

func TestFacts(t *testing.T) {
	m := onnx.New("facts")
	g := m.Graph()
	g.Input = append(g.Input,
		onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4)),
		onnx.ValueInfo("length", onnx.Int64),
		onnx.ValueInfo("ids", onnx.Int64, onnx.Sym("n")),
		onnx.ValueInfo("axis", onnx.Int64, onnx.Fixed(1)))
	m.SetWeight(onnx.Floats("table", []int64{1, 32, 4}, make([]float32, 128)...))
	m.SetWeight(onnx.Ints("axis", []int64{1}, 1)) // an initializer among the inputs, as old graphs have
	m.SetWeight(onnx.Ints("end", []int64{1}, math.MaxInt64))
	m.SetWeight(onnx.Ints("zero", []int64{1}, 0))
	m.SetWeight(onnx.Ints("mask", []int64{1}, math.MinInt64))
	inner := &onnxpb.GraphProto{Node: []*onnxpb.NodeProto{onnx.Node("Relu", "", []string{"x"}, []string{"r"})}}
	choice := onnx.Node("If", "choose", []string{"flag"}, []string{"chosen"})
	choice.Attribute = append(choice.Attribute, &onnxpb.AttributeProto{Name: "then_branch", Type: onnxpb.AttributeProto_GRAPH, G: inner})
	fused := onnx.Node("FusedMatMul", "", []string{"x", "y"}, []string{"z"})
	fused.Domain = "com.microsoft"
	g.Node = append(g.Node,
		onnx.Node("Shape", "", []string{"ids"}, []string{"s"}),
		onnx.Node("Unsqueeze", "", []string{"length", "zero"}, []string{"u"}),
		onnx.Node("Add", "", []string{"u", "s"}, []string{"to"}),
		onnx.Node("Slice", "", []string{"table", "zero", "to", "axis"}, []string{"rows"}),
		onnx.Node("Slice", "", []string{"x", "zero", "end", "zero"}, []string{"y"}),
		onnx.Node("Add", "", []string{"ids", "mask"}, []string{"masked"}),
		fused, choice)
	got := Facts(m)
	want := &Graph{
		Nodes: 9, Opset: 21, Branches: []string{"choose"},
		Ops: map[string]int{"Shape": 1, "Unsqueeze": 1, "Add": 2, "Slice": 2, "com.microsoft.FusedMatMul": 1, "If": 1, "Relu": 1},
		Inputs: []contract.Tensor{
			{Name: "x", Kind: contract.KindOther, Type: "float", Dims: []contract.Dim{{Role: contract.Free, Symbol: "n"}, {Role: contract.Static, Size: 4}}},
			{Name: "length", Kind: contract.KindOther, Type: "int64"},
			{Name: "ids", Kind: contract.KindOther, Type: "int64", Dims: []contract.Dim{{Role: contract.Free, Symbol: "n"}}},
		},
		ShapeInputs: []string{"length"},
		Int64:       []Int64{{"end", math.MaxInt64, true}, {"mask", math.MinInt64, false}},
		Tables:      []Table{{"table", 32}},
	}
	got.nodes = nil
	if d := cmp.Diff(want, got, cmp.AllowUnexported(Graph{})); d != "" {
		t.Error(d)
	}
}

// Parts counts alternations along a path: a foreign end cuts nothing, and two
// foreign nodes side by side cut once.
func TestParts(t *testing.T) {
	mine := func(in, out string) node { return node{"Relu", []string{in}, []string{out}} }
	foreign := func(in, out string) node { return node{"com.microsoft.Gelu", []string{in}, []string{out}} }
	for _, v := range []struct {
		nodes  []node
		parts  int
		border []string
	}{
		{[]node{mine("x", "a"), mine("a", "b")}, 1, nil},
		{[]node{mine("x", "a"), foreign("a", "b")}, 1, nil},
		{[]node{foreign("x", "a"), mine("a", "b")}, 1, []string{"a"}},
		{[]node{mine("x", "a"), foreign("a", "b"), mine("b", "c")}, 2, []string{"b"}},
		{[]node{mine("x", "a"), foreign("a", "b"), foreign("a", "c"), mine("b", "d"), mine("c", "e")}, 2, []string{"b", "c"}},
		{[]node{mine("x", "a"), foreign("a", "b"), mine("b", "c"), foreign("c", "d"), mine("d", "e")}, 3, []string{"b", "d"}},
		{[]node{foreign("x", "a")}, 0, nil},
	} {
		g := &Graph{nodes: v.nodes}
		n, border := g.parts(ORTTRT)
		if n != v.parts || !slices.Equal(border, v.border) {
			t.Errorf("%v: %d pieces with border %v, want %d and %v", v.nodes, n, border, v.parts, v.border)
		}
	}
}

// Real exports of decoders have no shape tensors and, but where ONNX Runtime
// fused them, nothing that the parser lacks.
func TestFactsOfExports(t *testing.T) {
	paths, err := filepath.Glob("../../contract/testdata/*.onnx")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		m, err := onnx.Load(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		g := Facts(m)
		t.Logf("%s: %d nodes, opset %d, shape inputs %v, tables %v, int64 %v, lacking %v", filepath.Base(path), g.Nodes, g.Opset, g.ShapeInputs, g.Tables, g.Int64, g.lacking(RTX))
		if len(g.ShapeInputs) > 0 {
			t.Errorf("%s: shape inputs %v", path, g.ShapeInputs)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}
