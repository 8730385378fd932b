package graph

import (
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// least is how many inputs operators have at least, of those that are rewritten
// by their inputs.
var least = map[string]int{"MatMul": 2, "Gemm": 2, "QuantizeLinear": 2, "DequantizeLinear": 2, "Add": 2, "Identity": 1, "IsNaN": 1}

// Standard refuses what neither conversion can see through: subgraphs, whose
// values have no type of their own here, and model-local functions; nodes that
// lack what their operator needs; and nodes that do not stand behind those that
// make their inputs, so that every walk along a graph ends.
func Standard(stage string, m *onnx.Model) error {
	made := map[string]bool{"": true}
	for _, v := range m.Graph().GetInput() {
		made[v.GetName()] = true
	}
	for _, t := range m.Graph().GetInitializer() {
		made[t.GetName()] = true
	}
	for _, n := range m.Graph().GetNode() {
		if len(n.GetOutput()) == 0 || len(n.GetInput()) < least[n.GetOpType()] {
			return fault.New(fault.Input, stage, Label(n),
				fmt.Sprintf("it has %d inputs and %d outputs", len(n.GetInput()), len(n.GetOutput())), "check the model (trtforge inspect)")
		}
		for _, a := range n.GetAttribute() {
			if a.GetG() != nil || len(a.GetGraphs()) > 0 {
				return fault.New(fault.Input, stage, Label(n), "control flow is not converted",
					"export the model as one graph without If or Loop (optimum: without merging the decoders)")
			}
		}
		for _, in := range n.GetInput() {
			if !made[in] {
				return fault.New(fault.Input, stage, Label(n), "its input \""+in+"\" is made by no earlier node", "check the model (trtforge inspect)")
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

// Quantized is the first quantize or dequantize node of m, or nil.
func Quantized(m *onnx.Model) *onnxpb.NodeProto {
	for _, n := range m.Graph().GetNode() {
		switch n.GetOpType() {
		case "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearMatMul":
			return n
		}
	}
	return nil
}
