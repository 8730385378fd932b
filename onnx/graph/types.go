package graph

import (
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// ElementTypes gives every value of the graph its element type. Only the type
// matters here, never the shape, so this works on operators that shape inference
// does not know: most return the type of their first input, and the exceptions
// are few.
func ElementTypes(stage string, m *onnx.Model) (map[string]onnx.DType, error) {
	g := m.Graph()
	types := map[string]onnx.DType{}
	stated := map[string]onnx.DType{}
	for _, v := range append(append([]*onnxpb.ValueInfoProto{}, g.GetValueInfo()...), g.GetOutput()...) {
		t, _ := onnx.TypeOf(v)
		stated[v.GetName()] = t
	}
	for _, v := range g.GetInput() {
		types[v.GetName()], _ = onnx.TypeOf(v)
	}
	for _, t := range g.GetInitializer() {
		types[t.GetName()] = onnx.DType(t.GetDataType())
	}
	for _, n := range g.GetNode() {
		for i, out := range n.GetOutput() {
			if out == "" {
				continue
			}
			t := outputType(n, i, types)
			if s := stated[out]; s != 0 && (t == 0 || !onnx.Builtin(n)) {
				t = s
			}
			if t == 0 {
				return nil, fault.New(fault.Input, stage, Label(n), "the element type of its output \""+out+"\" is not known",
					"infer types first (onnx.shape_inference.infer_shapes) or replace the operator")
			}
			types[out] = t
		}
	}
	return types, nil
}

// outputType is the element type of n's i-th output; 0 where it is not known.
func outputType(n *onnxpb.NodeProto, i int, types map[string]onnx.DType) onnx.DType {
	in := func(k int) onnx.DType {
		if k < len(n.GetInput()) {
			return types[n.GetInput()[k]]
		}
		return 0
	}
	if !onnx.Builtin(n) {
		return 0
	}
	switch n.GetOpType() {
	case "Cast":
		return onnx.DType(onnx.AttrInt(n, "to", 0))
	case "Shape", "Size", "NonZero", "ArgMax", "ArgMin":
		return onnx.Int64
	case "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "And", "Or", "Not", "Xor", "IsNaN", "IsInf":
		return onnx.Bool
	case "Where", "CastLike":
		return in(1)
	case "OneHot":
		return in(2)
	case "ConstantOfShape":
		if t := onnx.Attr(n, "value").GetT(); t != nil {
			return onnx.DType(t.GetDataType())
		}
		return onnx.Float32
	case "Constant":
		return constantType(n)
	case "EyeLike":
		return onnx.DType(onnx.AttrInt(n, "dtype", int64(in(0))))
	case "RandomNormal", "RandomUniform":
		return onnx.DType(onnx.AttrInt(n, "dtype", int64(onnx.Float32)))
	case "QuantizeLinear":
		if t := in(2); t != 0 {
			return t
		}
		return onnx.DType(onnx.AttrInt(n, "output_dtype", int64(onnx.Uint8)))
	case "DequantizeLinear":
		return in(1)
	case "DynamicQuantizeLinear":
		if i == 1 {
			return onnx.Float32
		}
		return onnx.Uint8
	case "MatMulInteger", "ConvInteger":
		return onnx.Int32
	case "TopK", "MaxPool", "Unique":
		if i > 0 {
			return onnx.Int64
		}
	case "Dropout":
		if i > 0 {
			return onnx.Bool
		}
	}
	return in(0)
}

func constantType(n *onnxpb.NodeProto) onnx.DType {
	for _, a := range n.GetAttribute() {
		switch a.GetName() {
		case "value":
			return onnx.DType(a.GetT().GetDataType())
		case "value_float", "value_floats":
			return onnx.Float32
		case "value_int", "value_ints":
			return onnx.Int64
		case "value_string", "value_strings":
			return onnx.DType(onnxpb.TensorProto_STRING)
		}
	}
	return 0
}
