package quant

import (
	"slices"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Which operators compute in float32 inside a float16 graph, and why:
//   - statistics: sums of squares and exponentials leave float16's range, and
//     differences of sums lose its 11 bits;
//   - those that ONNX or its runtimes do not define for float16.
var singleOps = []string{
	"LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization",
	"LpNormalization", "MeanVarianceNormalization", "SimplifiedLayerNormalization",
	"Softmax", "LogSoftmax", "ReduceMean", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
	"ReduceLogSum", "ReduceLogSumExp", "Pow", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos",
	"Range", "CumSum", "Resize", "EyeLike", "RandomNormal", "RandomUniform", "DynamicQuantizeLinear",
}

// lightOps move or combine values without reducing them. Between the scores of
// attention and their Softmax they scale and mask.
var lightOps = []string{
	"Add", "Sub", "Mul", "Div", "Neg", "Abs", "Where", "Min", "Max", "Clip", "Cast", "CastLike", "Identity", "Not",
	"Unsqueeze", "Squeeze", "Expand", "Reshape", "Flatten", "Transpose", "Slice", "Concat", "Split", "Tile", "Trilu",
	"ConstantOfShape", "Gather", "GatherND", "ScatterND", "ScatterElements",
}

// elementwise are the light operators that change values.
var elementwise = []string{"Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Clip"}

// singleNodes are the nodes that compute in float32.
//
// Besides singleOps themselves: what leads to a Softmax through light operators
// (so that mask constants such as -3.4e38 are added where they fit, and a row
// of scores plus two masks never becomes all -inf, whose Softmax is NaN); what
// leads to a Sin or Cos (a rotary angle is a position times a frequency, and
// positions above 2,048 are not exact in float16); and elementwise operators
// inside a layer norm that is written out as ReduceMean, Sub, Pow, Sqrt, Div.
func singleNodes(g *onnxpb.GraphProto, x *index, keep map[string]bool) map[*onnxpb.NodeProto]bool {
	single := map[*onnxpb.NodeProto]bool{}
	for _, n := range g.GetNode() {
		if !builtin(n) || slices.Contains(singleOps, n.GetOpType()) || keep[n.GetName()] {
			single[n] = true
		}
	}
	for _, n := range g.GetNode() {
		switch n.GetOpType() {
		case "Softmax", "LogSoftmax":
			upstream(x, n, single, func(n *onnxpb.NodeProto) bool { return slices.Contains(lightOps, n.GetOpType()) })
		case "Sin", "Cos":
			upstream(x, n, single, func(*onnxpb.NodeProto) bool { return true })
		}
	}
	for _, n := range g.GetNode() {
		if slices.Contains(elementwise, n.GetOpType()) && insideSingle(x, n, single) {
			single[n] = true
		}
	}
	return single
}

// upstream adds to set every node that leads to n through nodes that pass.
func upstream(x *index, n *onnxpb.NodeProto, set map[*onnxpb.NodeProto]bool, pass func(*onnxpb.NodeProto) bool) {
	seen := map[*onnxpb.NodeProto]bool{}
	todo := x.sources(n)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] || !pass(n) {
			continue
		}
		seen[n], set[n] = true, true
		todo = append(todo, x.sources(n)...)
	}
}

// insideSingle tells whether all of n's computed inputs are float32 already, or
// some are and what uses n wants float32 too: rounding in between gains nothing.
func insideSingle(x *index, n *onnxpb.NodeProto, single map[*onnxpb.NodeProto]bool) bool {
	computed, ready := 0, 0
	for _, in := range n.GetInput() {
		p := x.producer[in]
		if p == nil && !x.inputs[in] {
			continue // a constant has either type for nothing
		}
		computed++
		if single[p] {
			ready++
		}
	}
	if ready == 0 {
		return false
	}
	return ready == computed || slices.ContainsFunc(x.users(n), func(u *onnxpb.NodeProto) bool { return single[u] })
}
