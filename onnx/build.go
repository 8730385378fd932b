package onnx

import (
	"fmt"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Dim is a dimension of a graph input or output: a symbol, or where that is
// empty a size.
type Dim struct {
	Symbol string
	Size   int64
}

// Sym is a symbolic dimension.
func Sym(name string) Dim { return Dim{Symbol: name} }

// Fixed is a static dimension.
func Fixed(n int64) Dim { return Dim{Size: n} }

// String is the symbol or the size.
func (d Dim) String() string {
	if d.Symbol != "" {
		return d.Symbol
	}
	return fmt.Sprint(d.Size)
}

// ValueInfo describes a graph input, output or intermediate value.
func ValueInfo(name string, t DType, dims ...Dim) *onnxpb.ValueInfoProto {
	shape := &onnxpb.TensorShapeProto{}
	for _, d := range dims {
		p := &onnxpb.TensorShapeProto_Dimension{}
		if d.Symbol != "" {
			p.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: d.Symbol}
		} else {
			p.Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: d.Size}
		}
		shape.Dim = append(shape.Dim, p)
	}
	return &onnxpb.ValueInfoProto{Name: name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{
		TensorType: &onnxpb.TypeProto_Tensor{ElemType: int32(t), Shape: shape},
	}}}
}

// TypeOf is the element type and shape that a value info states. A dimension
// with neither symbol nor size comes back with Size -1; dims is nil where no
// shape is stated at all.
func TypeOf(v *onnxpb.ValueInfoProto) (t DType, dims []Dim) {
	tensor := v.GetType().GetTensorType()
	t = DType(tensor.GetElemType())
	if tensor.GetShape() == nil {
		return t, nil
	}
	dims = []Dim{}
	for _, d := range tensor.GetShape().GetDim() {
		switch v := d.GetValue().(type) {
		case *onnxpb.TensorShapeProto_Dimension_DimParam:
			dims = append(dims, Sym(v.DimParam))
		case *onnxpb.TensorShapeProto_Dimension_DimValue:
			dims = append(dims, Fixed(v.DimValue))
		default:
			dims = append(dims, Fixed(-1))
		}
	}
	return t, dims
}

// Node is an operator of the default domain. attrs are pairs of a name and an
// int64, int, float32, string, []int64 or DType; anything else is a bug and
// panics.
func Node(op, name string, inputs, outputs []string, attrs ...any) *onnxpb.NodeProto {
	n := &onnxpb.NodeProto{OpType: op, Name: name, Input: inputs, Output: outputs}
	for i := 0; i < len(attrs); i += 2 {
		n.Attribute = append(n.Attribute, attribute(attrs[i].(string), attrs[i+1]))
	}
	return n
}

func attribute(name string, value any) *onnxpb.AttributeProto {
	a := &onnxpb.AttributeProto{Name: name}
	switch v := value.(type) {
	case int:
		a.Type, a.I = onnxpb.AttributeProto_INT, int64(v)
	case int64:
		a.Type, a.I = onnxpb.AttributeProto_INT, v
	case DType:
		a.Type, a.I = onnxpb.AttributeProto_INT, int64(v)
	case float32:
		a.Type, a.F = onnxpb.AttributeProto_FLOAT, v
	case string:
		a.Type, a.S = onnxpb.AttributeProto_STRING, []byte(v)
	case []int64:
		a.Type, a.Ints = onnxpb.AttributeProto_INTS, v
	default:
		panic(fmt.Sprintf("onnx: attribute %s of type %T", name, value))
	}
	return a
}

// Builtin tells whether a node, or an opset, is of ONNX's own domain.
func Builtin(x interface{ GetDomain() string }) bool {
	return x.GetDomain() == "" || x.GetDomain() == "ai.onnx"
}

// Operator is a node's operator, with its domain before it where that is not ONNX's
// own: "MatMul", "com.microsoft.GroupQueryAttention".
func Operator(n *onnxpb.NodeProto) string {
	if Builtin(n) {
		return n.GetOpType()
	}
	return n.GetDomain() + "." + n.GetOpType()
}

// Attr is the attribute of that name, or nil; all getters of nil give zero.
func Attr(n *onnxpb.NodeProto, name string) *onnxpb.AttributeProto {
	for _, a := range n.GetAttribute() {
		if a.GetName() == name {
			return a
		}
	}
	return nil
}

// AttrInt is an integer attribute, or fallback where it is absent.
func AttrInt(n *onnxpb.NodeProto, name string, fallback int64) int64 {
	if a := Attr(n, name); a != nil {
		return a.GetI()
	}
	return fallback
}
