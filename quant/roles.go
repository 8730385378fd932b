package quant

import (
	"slices"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Role is what a matrix product with a constant weight does in a decoder.
type Role string

// The roles. Separate projections of queries, keys and values are all QKV; a
// gated MLP's gate and up projections are both FC1.
const (
	QKV     Role = "qkv"      // from a layer norm into attention
	AttnOut Role = "attn_out" // from attention back to the residual stream
	FC1     Role = "fc1"      // from a layer norm into the MLP
	FC2     Role = "fc2"      // from the MLP back to the residual stream
	LMHead  Role = "lm_head"  // from the final layer norm to the logits
	Scores  Role = "scores"   // attention's queries times keys
	Values  Role = "values"   // attention's weights, a Softmax, times values
	Other   Role = "other"
)

// batched tells of products without a weight.
func (r Role) batched() bool { return r == Scores || r == Values }

var norms = []string{
	"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization",
	"SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "ReduceMean",
}

// classify gives a linear node its role from what leads to its activation and
// what its result leads to, never from names:
//
//	attention's batched product, no norm between  -> attn_out
//	a norm; the result reaches a batched product  -> qkv
//	a norm; the result reaches another linear     -> fc1
//	a norm; the result reaches an output only     -> lm_head
//	another linear, no norm between               -> fc2
func classify(x *graph.Index, n *onnxpb.NodeProto, linear map[*onnxpb.NodeProto]bool, states []string) Role {
	before := reach(x.Sources(n), linear, func(n *onnxpb.NodeProto) []*onnxpb.NodeProto { return x.Sources(n) })
	switch {
	case before.attention && !before.norm:
		return AttnOut
	case before.norm:
		after := reach(x.Users(n), linear, x.Users)
		switch {
		case after.attention:
			return QKV
		case after.linear:
			return FC1
		case outputs(x, append(after.passed, n), states):
			return LMHead
		}
	case before.linear:
		return FC2
	}
	return Other
}

// found is what a walk met.
type found struct {
	attention, norm, linear bool
	passed                  []*onnxpb.NodeProto // what it went through
}

// reach walks from the given nodes until it meets linear nodes or attention's
// products. A norm is noted and, for it may be written out in small operators,
// passed.
func reach(from []*onnxpb.NodeProto, linear map[*onnxpb.NodeProto]bool, next func(*onnxpb.NodeProto) []*onnxpb.NodeProto) found {
	var f found
	seen := map[*onnxpb.NodeProto]bool{}
	todo := slices.Clone(from)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		switch op := n.GetOpType(); {
		case linear[n]:
			f.linear = true
			continue
		case op == "MatMul" || op == "Attention" || op == "Einsum" || op == "MultiHeadAttention" || op == "GroupQueryAttention":
			f.attention = true
			continue
		case slices.Contains(norms, op):
			f.norm = true
		case op == "Shape" || op == "Size":
			continue // sizes say nothing about where values come from
		}
		f.passed = append(f.passed, n)
		todo = append(todo, next(n)...)
	}
	return f
}

// outputs tells whether one of the nodes makes a graph output that is no KV.
func outputs(x *graph.Index, nodes []*onnxpb.NodeProto, states []string) bool {
	for _, n := range nodes {
		for _, out := range n.GetOutput() {
			if x.Outputs[out] && !slices.Contains(states, out) {
				return true
			}
		}
	}
	return false
}

// layers numbers the targets by the decoder layer that they stand in: a layer
// ends with its MLP, and the next begins with attention again.
func layers(found []linearNode) {
	layer, mlp := -1, true
	for i := range found {
		switch t := &found[i].target; t.Role {
		case QKV, Scores, Values, AttnOut:
			if mlp {
				layer, mlp = layer+1, false
			}
			t.Layer = layer
		case FC1, FC2:
			mlp = true
			t.Layer = max(layer, 0)
		default:
			t.Layer = -1
		}
	}
}

// assign gives all products but attention's their roles, and all their layers.
func assign(m *onnx.Model, x *graph.Index, found []linearNode) {
	linear := map[*onnxpb.NodeProto]bool{}
	for _, l := range found {
		linear[l.node] = !l.target.Role.batched()
	}
	states := calib.States(m)
	for i := range found {
		if t := &found[i].target; !t.Role.batched() {
			t.Role = classify(x, found[i].node, linear, states)
		}
	}
	layers(found)
}

// between are the operators that scale, mask and move attention's scores on
// their way to the Softmax, and its weights on their way from it.
var between = []string{
	"Add", "Sub", "Mul", "Div", "Neg", "Where", "Min", "Max", "Clip", "Cast", "Identity", "Dropout", "IsNaN",
	"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Expand", "Slice", "Concat",
}

// batched is the role of a product of two activations: Scores where a Softmax
// follows, Values where one is its left operand, else Other.
func batched(x *graph.Index, n *onnxpb.NodeProto) Role {
	if weights(x, n.GetInput()[0]) {
		return Values
	}
	todo, seen := x.Users(n), map[*onnxpb.NodeProto]bool{}
	for len(todo) > 0 {
		u := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if u.GetOpType() == "Softmax" {
			return Scores
		}
		if !seen[u] && slices.Contains(between, u.GetOpType()) {
			seen[u] = true
			todo = append(todo, x.Users(u)...)
		}
	}
	return Other
}

// weights tells whether value is a Softmax's, moved or with its NaN replaced by
// zeros (PyTorch's safe softmax) but not scaled: it lies in [0, 1].
func weights(x *graph.Index, value string) bool {
	for range 8 { // the way is short
		p := x.Producer[value]
		switch {
		case p == nil || len(p.GetInput()) == 0:
			return false
		case p.GetOpType() == "Softmax":
			return true
		case p.GetOpType() == "Where" && len(p.GetInput()) == 3:
			test := x.Producer[p.GetInput()[0]]
			if test.GetOpType() != "IsNaN" || test.GetInput()[0] != p.GetInput()[2] {
				return false
			}
			value = p.GetInput()[2]
		case slices.Contains([]string{"Identity", "Cast", "Dropout", "Reshape", "Transpose", "Squeeze", "Unsqueeze"}, p.GetOpType()):
			value = p.GetInput()[0]
		default:
			return false
		}
	}
	return false
}
