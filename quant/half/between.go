package half

import (
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// elementwise are the light operators that change values.
var elementwise = []string{"Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Clip"}

// siblings keeps INT8 products whose operand another one shares that is kept:
// NVIDIA's builder joins them and refuses ("invalid binary pointwise types")
// where they do not have one type. Their arithmetic is INT8 in either type.
func (r *regions) siblings() {
	kept := map[string]*onnxpb.NodeProto{} // what is quantized -> a product of it that is kept
	for again := true; again; {
		again = false
		for _, n := range r.m.Graph().GetNode() {
			for _, value := range r.quantized(n) {
				switch first := kept[value]; {
				case first == nil && !r.narrow(n):
					kept[value], again = n, true
				case first != nil && r.narrow(n):
					r.keep(n, value, "shares this INT8 operand with "+graph.NodeName(first))
					again = true
				}
			}
		}
	}
}

// quantized are the values that a matrix product takes in quantized form.
func (r *regions) quantized(n *onnxpb.NodeProto) []string {
	if n.GetOpType() != "MatMul" && n.GetOpType() != "Gemm" {
		return nil
	}
	var values []string
	for _, in := range n.GetInput() {
		if dq := r.x.Producer[in]; dq != nil && dq.GetOpType() == "DequantizeLinear" {
			value := dq.GetInput()[0]
			if q := r.x.Producer[value]; q != nil && q.GetOpType() == "QuantizeLinear" {
				value = q.GetInput()[0]
			}
			values = append(values, value)
		}
	}
	return values
}

// between keeps what gains nothing from a narrow type: elementwise operators
// inside a layer norm that is written out as ReduceMean, Sub, Pow, Sqrt, Div and
// where its statistic is applied, and moves of constants and of float32 values to float32 nodes alone.
func (r *regions) between() {
	statistics := map[string]bool{}
	rounded := maps.Clone(r.x.Inputs) // of the narrow type before any node reads it; moved constants are not
	for _, n := range r.m.Graph().GetNode() {
		statistic := r.statistic(n, statistics)
		if slices.Contains(elementwise, n.GetOpType()) && (r.inside(n) || r.applies(n, statistics)) {
			r.keep(n, "", "stands between float32 nodes")
		}
		from := carried(n)
		rounds := r.narrow(n) && (from == nil || slices.ContainsFunc(from, func(in string) bool { return rounded[in] }))
		for _, out := range n.GetOutput() {
			statistics[out], rounded[out] = statistic, rounds
		}
	}
	for _, n := range slices.Backward(r.m.Graph().GetNode()) {
		from, users := carried(n), r.x.Users(n)
		if from == nil || len(users) == 0 || slices.ContainsFunc(users, r.narrow) {
			continue
		}
		if n.GetOpType() == "DequantizeLinear" || !slices.ContainsFunc(from, func(in string) bool { return rounded[in] }) {
			r.keep(n, "", "only float32 nodes read it")
		}
	}
}

// statistic tells whether n makes a statistic, such as the inverse root of a
// mean of squares: it reduces, or it combines what others reduced.
func (r *regions) statistic(n *onnxpb.NodeProto, known map[string]bool) bool {
	op := n.GetOpType()
	if strings.HasPrefix(op, "Reduce") {
		return true
	}
	some := false
	for _, in := range n.GetInput() {
		switch {
		case known[in]:
			some = true
		case r.x.Producer[in] != nil || r.x.Inputs[in]:
			return false
		}
	}
	return some && (slices.Contains(elementwise, op) || op == "Sqrt" || op == "Reciprocal" || op == "Pow" || op == "Cast")
}

// applies tells whether n combines a value with a float32 statistic of it.
func (r *regions) applies(n *onnxpb.NodeProto, statistics map[string]bool) bool {
	return slices.ContainsFunc(n.GetInput(), func(in string) bool { return statistics[in] && !r.narrow(r.x.Producer[in]) })
}

// inside tells whether all of n's computed inputs are float32 already, or some
// are and what uses n wants float32 too: rounding in between gains nothing.
func (r *regions) inside(n *onnxpb.NodeProto) bool {
	computed, ready := 0, 0
	for _, in := range n.GetInput() {
		p := r.x.Producer[in]
		if p == nil && !r.x.Inputs[in] {
			continue // a constant has either type for nothing
		}
		computed++
		if p != nil && !r.narrow(p) {
			ready++
		}
	}
	if ready == 0 {
		return false
	}
	return ready == computed || slices.ContainsFunc(r.x.Users(n), func(u *onnxpb.NodeProto) bool { return !r.narrow(u) })
}
