package half

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Kept is a node that computes in float32 inside a narrow graph.
type Kept struct {
	Node   string `json:"node"` // its name, or its output's where it has none
	Op     string `json:"op"`
	Tensor string `json:"tensor,omitempty"` // the value that asks for it, where the rule is about values
	Reason string `json:"reason"`
}

// Which operators compute in float32 inside a narrow graph: sums of squares
// and exponentials leave float16's range, and differences of sums lose its 11
// bits (bfloat16's 8 sooner).
var singleOps = []string{
	"LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization",
	"LpNormalization", "MeanVarianceNormalization", "SimplifiedLayerNormalization",
	"Softmax", "LogSoftmax", "ReduceMean", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
	"ReduceLogSum", "ReduceLogSumExp", "Pow", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos",
	"Range", "CumSum", "Resize", "EyeLike", "RandomNormal", "RandomUniform", "DynamicQuantizeLinear",
}

// comparisons have no rounded result to save on, and sizes and positions that
// pass through floats have to stay whole numbers.
var comparisons = []string{"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}

// lightOps move or combine values without reducing them. Between the scores of
// attention and their Softmax they scale and mask.
var lightOps = []string{
	"Add", "Sub", "Mul", "Div", "Neg", "Abs", "Where", "Min", "Max", "Clip", "Cast", "CastLike", "Identity", "Not",
	"Unsqueeze", "Squeeze", "Expand", "Reshape", "Flatten", "Transpose", "Slice", "Concat", "Split", "Tile", "Trilu",
	"ConstantOfShape", "Gather", "GatherND", "ScatterND", "ScatterElements",
}

// regions are the parts of a graph that compute in float32.
type regions struct {
	m      *onnx.Model
	x      *graph.Index
	types  map[string]onnx.DType // of each value before the change
	kept   map[*onnxpb.NodeProto]Kept
	beyond map[string]string // values that the narrow type does not hold, and why
}

func newRegions(m *onnx.Model, types map[string]onnx.DType) *regions {
	return &regions{m: m, x: graph.NewIndex(m.Graph()), types: types, kept: map[*onnxpb.NodeProto]Kept{}, beyond: map[string]string{}}
}

// find decides which nodes compute in float32: operators that always do, what
// leads to a Softmax through light operators (so that mask constants such as
// -3.4e38 are added where they fit, and a row of scores plus two masks never
// becomes all -inf, whose Softmax is NaN), what leads to a Sin or Cos (a rotary
// angle is a position times a frequency, and positions above 2,048 are not exact
// in float16) or to an integer (whole numbers above 2,048 neither), who makes or takes what float16 does not hold, and what stands
// between such nodes.
func (r *regions) find(o Options) error {
	r.operators(o)
	light := func(n *onnxpb.NodeProto) bool { return slices.Contains(lightOps, n.GetOpType()) }
	for _, n := range r.m.Graph().GetNode() {
		switch n.GetOpType() {
		case "Softmax", "LogSoftmax":
			r.upstream(n, "leads to a Softmax", light)
		case "Cast":
			if slices.ContainsFunc(n.GetInput(), r.float) && slices.ContainsFunc(n.GetOutput(), r.integer) {
				r.keep(n, "", "makes whole numbers")
				r.upstream(n, "leads to whole numbers", light)
			}
		case "Sin", "Cos":
			r.upstream(n, "leads to the angle of a "+n.GetOpType(), func(*onnxpb.NodeProto) bool { return true })
		}
	}
	if o.Type == onnx.Float16 {
		if err := r.overflow(o); err != nil {
			return err
		}
	}
	r.siblings()
	r.between()
	return nil
}

// operators keeps what its operator or its name says.
func (r *regions) operators(o Options) {
	for _, n := range r.m.Graph().GetNode() {
		switch op := n.GetOpType(); {
		case !onnx.Builtin(n):
			r.keep(n, "", "operators of "+n.GetDomain()+" take what they were exported for")
		case slices.Contains(singleOps, op):
			r.keep(n, "", "statistics and functions of wide range")
		case slices.Contains(comparisons, op):
			r.keep(n, "", "compares")
		case !definedFor(op, o.Type, r.m.Opset()):
			r.keep(n, "", fmt.Sprintf("opset %d does not define it for %s", r.m.Opset(), o.Type))
		case o.Single[graph.NodeName(n)]:
			r.keep(n, "", "named")
		}
	}
}

// keep notes that n computes in float32; the first reason stays.
func (r *regions) keep(n *onnxpb.NodeProto, tensor, reason string) {
	if _, known := r.kept[n]; !known {
		r.kept[n] = Kept{Node: graph.NodeName(n), Op: n.GetOpType(), Tensor: tensor, Reason: reason}
	}
}

// narrow tells whether n computes in the narrow type.
func (r *regions) narrow(n *onnxpb.NodeProto) bool {
	_, kept := r.kept[n]
	return !kept
}

// list is what was kept, of the nodes that take or make floats, in graph order.
func (r *regions) list() []Kept {
	var all []Kept
	for _, n := range r.m.Graph().GetNode() {
		k, kept := r.kept[n]
		if kept && slices.ContainsFunc(slices.Concat(n.GetInput(), n.GetOutput()), r.float) {
			all = append(all, k)
		}
	}
	return all
}

// float tells whether a value was float32 before the change.
func (r *regions) float(value string) bool { return r.types[value] == onnx.Float32 }

// integer tells whether a value is of an integer type that counts (no Bool).
func (r *regions) integer(value string) bool {
	t := r.types[value]
	return t == onnx.Int32 || t == onnx.Int64
}

// upstream keeps every node that leads to n through nodes that pass.
func (r *regions) upstream(n *onnxpb.NodeProto, reason string, pass func(*onnxpb.NodeProto) bool) {
	seen := map[*onnxpb.NodeProto]bool{}
	todo := r.x.Sources(n)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] || !pass(n) {
			continue
		}
		seen[n] = true
		r.keep(n, "", reason)
		todo = append(todo, r.x.Sources(n)...)
	}
}
