package graph

import (
	"slices"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// small is x -> Relu -> r; Add(r, one) -> y, with one a Constant and Relu unnamed.
func small() *onnx.Model {
	m := onnx.New("g")
	g := m.Graph()
	g.Input = []*onnxpb.ValueInfoProto{onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"))}
	g.Output = []*onnxpb.ValueInfoProto{onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"))}
	g.Node = []*onnxpb.NodeProto{
		onnx.Node("Constant", "c", nil, []string{"one"}, "value_float", float32(1)),
		onnx.Node("Relu", "", []string{"x"}, []string{"r"}),
		onnx.Node("Add", "add", []string{"r", "one"}, []string{"y"}),
		onnx.Node("Shape", "s", []string{"y"}, []string{"size"}),
	}
	return m
}

func TestIndex(t *testing.T) {
	m := small()
	x, nodes := NewIndex(m.Graph()), m.Graph().GetNode()
	if x.Producer["r"] != nodes[1] || x.Producer["x"] != nil || !x.Inputs["x"] || !x.Outputs["y"] {
		t.Errorf("producers %v, inputs %v, outputs %v", x.Producer, x.Inputs, x.Outputs)
	}
	if !slices.Equal(x.Sources(nodes[2]), []*onnxpb.NodeProto{nodes[1], nodes[0]}) || !slices.Equal(x.Users(nodes[2]), nodes[3:]) {
		t.Errorf("sources %v, users %v", x.Sources(nodes[2]), x.Users(nodes[2]))
	}
	if NodeName(nodes[1]) != "r" || Label(nodes[1]) != `Relu node that makes "r"` || Label(nodes[2]) != `node "add"` {
		t.Error(NodeName(nodes[1]), Label(nodes[1]), Label(nodes[2]))
	}
}

func TestNamesAreFree(t *testing.T) {
	used := UsedNames(small().Graph())
	if got := []string{used.Take("y"), used.Take("y"), used.Take("z"), used.Take("add")}; !slices.Equal(got, []string{"y.2", "y.3", "z", "add.2"}) {
		t.Error(got)
	}
}

func TestConstantsBecomeWeights(t *testing.T) {
	m := small()
	if err := Hoist(m); err != nil {
		t.Fatal(err)
	}
	v, err := m.Weight("one").Float32s()
	if err != nil || !slices.Equal(v, []float32{1}) || len(m.Graph().GetNode()) != 3 {
		t.Errorf("%v, %v, %d nodes", v, err, len(m.Graph().GetNode()))
	}
	types, err := ElementTypes("testing", m)
	if err != nil || types["y"] != onnx.Float32 || types["size"] != onnx.Int64 {
		t.Errorf("%v, %v", types, err)
	}
}

// What a rewrite cannot see through is refused as class input, and sound graphs pass.
func TestStandard(t *testing.T) {
	if err := Standard("testing", small()); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(m *onnx.Model){
		"out of order":   func(m *onnx.Model) { slices.Reverse(m.Graph().Node) },
		"too few inputs": func(m *onnx.Model) { m.Graph().Node[2].Input = nil },
		"a subgraph": func(m *onnx.Model) {
			m.Graph().Node[1].Attribute = []*onnxpb.AttributeProto{{Name: "then_branch", G: &onnxpb.GraphProto{}}}
		},
		"a function": func(m *onnx.Model) { m.Proto.Functions = []*onnxpb.FunctionProto{{Name: "f"}} },
	} {
		m := small()
		spoil(m)
		if err := Standard("testing", m); fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m := small(); Quantized(m) != nil {
		t.Error("nothing is quantized")
	}
}
