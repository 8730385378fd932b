package engine

import (
	"fmt"

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
	dequantized := map[string]bool{}
	weights := false
	for _, n := range m.Graph().GetNode() {
		switch op := n.GetOpType(); op {
		case "MatMulInteger", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm", "QAttention", "QLinearConv", "ConvInteger":
			return INT8
		case "MatMulNBits":
			weights = true
		case "MatMul", "Gemm":
			a, b := from(dequantized, n, 0), from(dequantized, n, 1)
			if a && b {
				return INT8
			}
			weights = weights || b
		case "Constant":
			seen[onnx.DType(onnx.Attr(n, "value").GetT().GetDataType())] = true
		case "DequantizeLinear":
			mark(dequantized, n)
		case "Transpose", "Reshape", "Cast", "Identity": // what is between is moved, not computed
			if from(dequantized, n, 0) {
				mark(dequantized, n)
			}
		}
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

func from(made map[string]bool, n *onnxpb.NodeProto, input int) bool {
	return len(n.GetInput()) > input && made[n.Input[input]]
}

func mark(made map[string]bool, n *onnxpb.NodeProto) {
	for _, out := range n.GetOutput() {
		made[out] = true
	}
}

// CheckGraph refuses, as class input, a graph that is not of the precision that is
// asked for: no builder changes it.
func CheckGraph(m *onnx.Model, want Precision) error {
	got := PrecisionOf(m)
	if got == want {
		return nil
	}
	return fault.New(fault.Input, "checking the graph", "", fmt.Sprintf("the graph is %s, not %s", got, want),
		fmt.Sprintf("ask for %s, or quantize the model to %s first", got, want))
}
