package calib

import (
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// States are the graph outputs that carry the KV cache, in the graph's order:
// those that a float graph input (the past) reaches by moves of data alone, and
// float outputs of rank 4 and above (a first pass has no past). Logits are
// neither. Names do not matter.
func States(m *onnx.Model) []string {
	g := m.Graph()
	producer := graph.NewIndex(g).Producer
	past := map[string]bool{}
	for _, v := range g.GetInput() {
		if t, _ := onnx.TypeOf(v); t.IsFloat() {
			past[v.GetName()] = true
		}
	}
	var states []string
	for _, v := range g.GetOutput() {
		t, dims := onnx.TypeOf(v)
		if t.IsFloat() && (len(dims) >= 4 || moved(v.GetName(), producer, past)) {
			states = append(states, v.GetName())
		}
	}
	return states
}

// moves are the operators that only carry data from place to place.
var moves = []string{
	"Concat", "Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice", "Split",
	"Expand", "Pad", "ScatterND", "ScatterElements", "Where", "QuantizeLinear", "DequantizeLinear",
}

// moved tells whether value comes from one of the given values by moves alone.
func moved(value string, producer map[string]*onnxpb.NodeProto, from map[string]bool) bool {
	seen := map[string]bool{}
	todo := []string{value}
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if from[v] {
			return true
		}
		n := producer[v]
		if seen[v] || n == nil || !slices.Contains(moves, n.GetOpType()) {
			continue
		}
		seen[v] = true
		todo = append(todo, n.GetInput()...)
	}
	return false
}
