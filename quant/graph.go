package quant

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// index answers who makes and who uses a value of a graph.
type index struct {
	producer  map[string]*onnxpb.NodeProto
	consumers map[string][]*onnxpb.NodeProto
	inputs    map[string]bool
	outputs   map[string]bool
}

func newIndex(g *onnxpb.GraphProto) *index {
	x := &index{
		producer: map[string]*onnxpb.NodeProto{}, consumers: map[string][]*onnxpb.NodeProto{},
		inputs: map[string]bool{}, outputs: map[string]bool{},
	}
	for _, n := range g.GetNode() {
		for _, out := range n.GetOutput() {
			x.producer[out] = n
		}
		for _, in := range n.GetInput() {
			if in != "" && !slices.Contains(x.consumers[in], n) {
				x.consumers[in] = append(x.consumers[in], n)
			}
		}
	}
	for _, v := range g.GetInput() {
		x.inputs[v.GetName()] = true
	}
	for _, v := range g.GetOutput() {
		x.outputs[v.GetName()] = true
	}
	return x
}

// sources are the nodes that make n's inputs, each once.
func (x *index) sources(n *onnxpb.NodeProto) []*onnxpb.NodeProto {
	var all []*onnxpb.NodeProto
	for _, in := range n.GetInput() {
		if p := x.producer[in]; p != nil && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// users are the nodes that take n's outputs.
func (x *index) users(n *onnxpb.NodeProto) []*onnxpb.NodeProto {
	var all []*onnxpb.NodeProto
	for _, out := range n.GetOutput() {
		all = append(all, x.consumers[out]...)
	}
	return all
}

// names hands out value and node names that the graph does not have yet.
type names map[string]bool

func usedNames(g *onnxpb.GraphProto) names {
	used := names{}
	for _, n := range g.GetNode() {
		used[n.GetName()] = true
		for _, v := range append(n.GetInput(), n.GetOutput()...) {
			used[v] = true
		}
	}
	for _, t := range g.GetInitializer() {
		used[t.GetName()] = true
	}
	for _, v := range append(g.GetInput(), g.GetOutput()...) {
		used[v.GetName()] = true
	}
	return used
}

// take is want, or want with a number where that is taken.
func (u names) take(want string) string {
	name := want
	for i := 2; u[name]; i++ {
		name = fmt.Sprintf("%s.%d", want, i)
	}
	u[name] = true
	return name
}

// least is how many inputs operators have at least, of those that are rewritten
// by their inputs.
var least = map[string]int{"MatMul": 2, "Gemm": 2, "QuantizeLinear": 2, "DequantizeLinear": 2, "Add": 2, "Identity": 1, "IsNaN": 1}

// standard refuses what neither conversion can see through: subgraphs, whose
// values have no type of their own here, and model-local functions; nodes that
// lack what their operator needs; and nodes that do not stand behind those that
// make their inputs, so that every walk along a graph ends.
func standard(stage string, m *onnx.Model) error {
	made := map[string]bool{"": true}
	for _, v := range m.Graph().GetInput() {
		made[v.GetName()] = true
	}
	for _, t := range m.Graph().GetInitializer() {
		made[t.GetName()] = true
	}
	for _, n := range m.Graph().GetNode() {
		if len(n.GetOutput()) == 0 || len(n.GetInput()) < least[n.GetOpType()] {
			return fault.New(fault.Input, stage, label(n),
				fmt.Sprintf("it has %d inputs and %d outputs", len(n.GetInput()), len(n.GetOutput())), "check the model (trtforge inspect)")
		}
		for _, a := range n.GetAttribute() {
			if a.GetG() != nil || len(a.GetGraphs()) > 0 {
				return fault.New(fault.Input, stage, label(n), "control flow is not converted",
					"export the model as one graph without If or Loop (optimum: without merging the decoders)")
			}
		}
		for _, in := range n.GetInput() {
			if !made[in] {
				return fault.New(fault.Input, stage, label(n), "its input \""+in+"\" is made by no earlier node", "check the model (trtforge inspect)")
			}
		}
		for _, out := range n.GetOutput() {
			made[out] = true
		}
	}
	if fs := m.Proto.GetFunctions(); len(fs) > 0 {
		return fault.New(fault.Input, stage, "function "+fs[0].GetName(), "model-local functions are not converted",
			"inline them first (onnx.inliner.inline_local_functions)")
	}
	return nil
}

// nodeName names a node in lists: its name, or its first output where it has none.
func nodeName(n *onnxpb.NodeProto) string {
	if n.GetName() != "" || len(n.GetOutput()) == 0 {
		return n.GetName()
	}
	return n.GetOutput()[0]
}

// label names a node for people: its name, or its operator and first output.
func label(n *onnxpb.NodeProto) string {
	if n.GetName() != "" {
		return fmt.Sprintf("node %q", n.GetName())
	}
	out := ""
	if len(n.GetOutput()) > 0 {
		out = n.GetOutput()[0]
	}
	return fmt.Sprintf("%s node that makes %q", n.GetOpType(), out)
}

// builtin tells whether n is an operator of the default domain.
func builtin(n *onnxpb.NodeProto) bool { return n.GetDomain() == "" || n.GetDomain() == "ai.onnx" }

// hoist turns Constant nodes of float32 into weights and takes weights off the
// list of inputs (where old exporters repeat them), so that there is one kind of
// constant to convert.
func hoist(m *onnx.Model) error {
	g := m.Graph()
	g.Input = slices.DeleteFunc(g.Input, func(v *onnxpb.ValueInfoProto) bool { return m.Weight(v.GetName()) != nil })
	kept := make([]*onnxpb.NodeProto, 0, len(g.GetNode()))
	for _, n := range g.GetNode() {
		w, err := constant(n)
		if err != nil {
			return err
		}
		if w == nil {
			kept = append(kept, n)
			continue
		}
		m.SetWeight(w)
	}
	g.Node = kept
	return nil
}

// constant is the weight that a Constant node of float32 means, or nil.
func constant(n *onnxpb.NodeProto) (*onnx.Weight, error) {
	if n.GetOpType() != "Constant" || !builtin(n) || len(n.GetOutput()) != 1 {
		return nil, nil
	}
	name := n.GetOutput()[0]
	if a := onnx.Attr(n, "value_float"); a != nil {
		return onnx.Floats(name, nil, a.GetF()), nil
	}
	if a := onnx.Attr(n, "value_floats"); a != nil {
		return onnx.Floats(name, []int64{int64(len(a.GetFloats()))}, a.GetFloats()...), nil
	}
	t := onnx.Attr(n, "value").GetT()
	if t == nil || onnx.DType(t.GetDataType()) != onnx.Float32 {
		return nil, nil
	}
	data := onnx.Memory(t.GetRawData())
	if len(t.GetFloatData()) > 0 {
		data = onnx.Floats("", nil, t.GetFloatData()...).Data.(onnx.Memory)
	}
	size, err := onnx.Float32.Bytes(t.GetDims())
	if err == nil && size != data.Size() {
		err = fmt.Errorf("%d bytes for shape %v", data.Size(), t.GetDims())
	}
	if err != nil {
		return nil, fault.Wrap(fault.Input, "reading", label(n), err, "export the model again")
	}
	return &onnx.Weight{Name: name, Type: onnx.Float32, Dims: t.GetDims(), Data: data}, nil
}
