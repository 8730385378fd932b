package engine

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// PrecisionOf is the precision that a typed graph was made for: INT8 where a matrix
// product has two quantized operands, W8 where only weights are, else the type of
// its narrow weights, else FP32.
func PrecisionOf(m *onnx.Model) Precision {
	seen := map[onnx.DType]bool{}
	for _, w := range m.Graph().GetInitializer() {
		seen[onnx.DType(w.GetDataType())] = true
	}
	weights := false
	for _, n := range m.Graph().GetNode() {
		switch n.GetOpType() {
		case "MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm", "QAttention", "QLinearConv", "ConvInteger":
			return INT8
		case "MatMulNBits":
			weights = true
		case "Constant":
			seen[onnx.DType(onnx.Attr(n, "value").GetT().GetDataType())] = true
		}
	}
	for _, p := range multiplied(m) {
		if p.left && p.right {
			return INT8
		}
		weights = weights || p.right
	}
	switch {
	case weights:
		return W8
	case seen[onnx.BFloat16]:
		return BF16
	case seen[onnx.Float16]:
		return FP16
	}
	return FP32
}

// product is a matrix product, and which of its operands are dequantized.
type product struct {
	node        *onnxpb.NodeProto
	left, right bool
}

// multiplied are the matrix products of a graph.
func multiplied(m *onnx.Model) (all []product) {
	dequantized := map[string]bool{}
	from := func(n *onnxpb.NodeProto, input int) bool {
		return len(n.GetInput()) > input && dequantized[n.Input[input]]
	}
	for _, n := range m.Graph().GetNode() {
		switch n.GetOpType() {
		case "DequantizeLinear":
		case "Transpose", "Reshape", "Cast", "Identity": // what is between is moved, not computed
			if !from(n, 0) {
				continue
			}
		case "MatMul", "Gemm":
			all = append(all, product{n, from(n, 0), from(n, 1)})
			continue
		default:
			continue
		}
		for _, out := range n.GetOutput() {
			dequantized[out] = true
		}
	}
	return all
}

// Quantized are the matrix products of a graph whose two operands are both
// dequantized: those that an INT8 engine computes in integers.
func Quantized(m *onnx.Model) (nodes []*onnxpb.NodeProto) {
	for _, p := range multiplied(m) {
		if p.left && p.right {
			nodes = append(nodes, p.node)
		}
	}
	return nodes
}

// named is how many matrix products an error names.
const named = 5

// unquantized says which matrix products of a graph have no quantized operand; ""
// where every one has.
func unquantized(m *onnx.Model) string {
	var plain []string
	for _, p := range multiplied(m) {
		if !p.left && !p.right {
			plain = append(plain, p.node.GetName())
		}
	}
	text := strings.Join(plain[:min(named, len(plain))], ", ")
	if more := len(plain) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// CheckGraph refuses, as class input, a graph that is not of the precision that is
// asked for: no builder changes it. What is asked to be INT8 and has no Q/DQ is told
// with the products that lack them.
func CheckGraph(m *onnx.Model, want Precision) error {
	got := PrecisionOf(m)
	if got == want {
		return nil
	}
	cause := fmt.Sprintf("the graph is %s, not %s", got, want)
	if plain := unquantized(m); plain != "" && (want == INT8 || want == W8) {
		cause += ": no QuantizeLinear and DequantizeLinear at " + plain
	}
	return fault.New(fault.Input, "checking the graph", "", cause,
		fmt.Sprintf("ask for %s, or quantize the model to %s first", got, want))
}
