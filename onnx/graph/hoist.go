package graph

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Hoist turns Constant nodes of float32 into weights and takes weights off the
// list of inputs (where old exporters repeat them), so that there is one kind of
// constant to convert.
func Hoist(m *onnx.Model) error {
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
	if n.GetOpType() != "Constant" || !onnx.Builtin(n) || len(n.GetOutput()) != 1 {
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
		return nil, fault.Wrap(fault.Input, "reading", Label(n), err, "export the model again")
	}
	return &onnx.Weight{Name: name, Type: onnx.Float32, Dims: t.GetDims(), Data: data}, nil
}
