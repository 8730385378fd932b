package calib

import (
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// quantizers are the operators of a graph that is quantized already.
var quantizers = []string{
	"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearMatMul", "QLinearConv", "MatMulInteger", "ConvInteger",
	"MatMulNBits", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QGemm", "QAttention",
}

// unquantized refuses a graph that is quantized already, as an error of class
// usage that names the first node which is: its activations carry the error of
// the quantization, so that ranges measured on it are not the model's.
func unquantized(g *onnxpb.GraphProto) error {
	for _, n := range g.GetNode() {
		if slices.Contains(quantizers, n.GetOpType()) {
			return fault.New(fault.Usage, "calibrating", "node "+label(n), "it is a "+n.GetOpType()+": the graph is quantized already",
				"calibrate the model that it was made from")
		}
	}
	return nil
}

// label is a node's name, or its outputs' where it has none.
func label(n *onnxpb.NodeProto) string {
	if n.GetName() != "" {
		return n.GetName()
	}
	return strings.Join(n.GetOutput(), ", ")
}
