package ortcpu

import (
	"strings"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// classes are the operators that are counted by name, ONNX's own and those
// that ONNX Runtime fuses them into; all others are "other".
var classes = map[string]string{
	"MatMul": "gemm", "Gemm": "gemm", "FusedMatMul": "gemm", "FusedGemm": "gemm", "TransposeMatMul": "gemm", "MatMulNBits": "gemm",
	"MatMulInteger": "gemm", "MatMulIntegerToFloat": "gemm", "DynamicQuantizeMatMul": "gemm", "QLinearMatMul": "gemm", "QGemm": "gemm",
	"Attention": "attention", "MultiHeadAttention": "attention", "GroupQueryAttention": "attention", "QAttention": "attention",
	"LayerNormalization": "norm", "SkipLayerNormalization": "norm", "SimplifiedLayerNormalization": "norm", "RMSNormalization": "norm",
	"Softmax": "softmax", "Gelu": "gelu", "FastGelu": "gelu", "BiasGelu": "gelu", "QuickGelu": "gelu",
	"Cast": "cast", "QuantizeLinear": "quantize", "DynamicQuantizeLinear": "quantize", "DequantizeLinear": "dequantize",
}

// integer are the operators that multiply 8-bit integers.
var integer = map[string]bool{
	"MatMulInteger": true, "MatMulIntegerToFloat": true, "DynamicQuantizeMatMul": true,
	"QLinearMatMul": true, "QGemm": true, "QAttention": true, "QLinearConv": true, "ConvInteger": true,
}

// precisions are the short names of element types.
var precisions = map[onnx.DType]string{
	onnx.Float32: "fp32", onnx.Float16: "fp16", onnx.BFloat16: "bf16", onnx.Float64: "fp64",
	onnx.Int8: "int8", onnx.Uint8: "int8", onnx.Int32: "int32", onnx.Int64: "int64",
}

// census is what a graph computes with what.
type census struct {
	layers    map[string]int // "gemm int8" -> nodes
	integers  []string       // nodes that multiply 8-bit integers
	quantized []string       // products between DequantizeLinear nodes: integer if the runtime fuses them
	half      int            // weights in float16
	packed    int            // products that read 8-bit weights and multiply in float
}

// count takes the census of a graph. Types are followed through the graph from
// its inputs and weights: an optimised graph states none for what lies between.
func count(m *onnx.Model) census {
	c := census{layers: map[string]int{}}
	types := map[string]onnx.DType{}
	for _, v := range m.Graph().GetInput() {
		types[v.GetName()], _ = onnx.TypeOf(v)
	}
	for _, w := range m.Graph().GetInitializer() {
		types[w.GetName()] = onnx.DType(w.GetDataType())
		if onnx.DType(w.GetDataType()) == onnx.Float16 {
			c.half++
		}
	}
	made := map[string]string{} // value -> the operator that made it
	for _, n := range m.Graph().GetNode() {
		computes := c.add(n, types, made)
		for i, out := range n.GetOutput() {
			types[out], made[out] = result(n, i, computes, types), n.GetOpType()
		}
	}
	return c
}

// add counts a node and returns the type that it computes in.
func (c *census) add(n *onnxpb.NodeProto, types map[string]onnx.DType, made map[string]string) onnx.DType {
	op := n.GetOpType()
	computes := operand(n, types)
	if integer[op] {
		c.integers = append(c.integers, n.GetName())
		computes = onnx.Int8
	}
	class := classes[op]
	if class == "" {
		c.layers["other"]++
		return computes
	}
	c.layers[strings.TrimSpace(class+" "+precisions[computes])]++
	if (op == "MatMul" || op == "Gemm") && len(n.Input) > 1 && made[n.Input[0]] == "DequantizeLinear" && made[n.Input[1]] == "DequantizeLinear" {
		c.quantized = append(c.quantized, n.GetName())
	} else if op == "MatMulNBits" || (op == "MatMul" || op == "Gemm") && len(n.Input) > 1 && made[n.Input[1]] == "DequantizeLinear" {
		c.packed++
	}
	return computes
}

// operand is the type of a node's first input that is a real number, else of
// its first input.
func operand(n *onnxpb.NodeProto, types map[string]onnx.DType) onnx.DType {
	for _, in := range n.GetInput() {
		if types[in].IsFloat() {
			return types[in]
		}
	}
	if len(n.GetInput()) > 0 {
		return types[n.Input[0]]
	}
	return onnx.Float32
}

// result is the type of output i of a node that computes in the type given.
func result(n *onnxpb.NodeProto, i int, computes onnx.DType, types map[string]onnx.DType) onnx.DType {
	switch n.GetOpType() {
	case "Cast":
		return onnx.DType(onnx.AttrInt(n, "to", int64(onnx.Float32)))
	case "Shape", "Size", "NonZero", "ArgMax", "ArgMin":
		return onnx.Int64
	case "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not", "IsNaN":
		return onnx.Bool
	case "MatMulInteger", "ConvInteger":
		return onnx.Int32
	case "QuantizeLinear", "DynamicQuantizeLinear", "QLinearMatMul", "QLinearConv", "QGemm":
		if i == 1 {
			return onnx.Float32 // the scale that DynamicQuantizeLinear found
		}
		return onnx.Uint8
	case "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QAttention":
		return operand(n, types)
	}
	return computes
}
