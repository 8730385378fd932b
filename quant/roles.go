package quant

import (
	"slices"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
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
	Other   Role = "other"
)

var norms = []string{"LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization", "ReduceMean"}

// classify gives a linear node its role from what leads to its activation and
// what its result leads to, never from names:
//
//	attention's batched product, no norm between  -> attn_out
//	a norm; the result reaches a batched product  -> qkv
//	a norm; the result reaches another linear     -> fc1
//	a norm; the result reaches an output only     -> lm_head
//	another linear, no norm between               -> fc2
func classify(x *index, n *onnxpb.NodeProto, linear map[*onnxpb.NodeProto]bool, states []string) Role {
	before := reach(x.sources(n), linear, func(n *onnxpb.NodeProto) []*onnxpb.NodeProto { return x.sources(n) })
	switch {
	case before.attention && !before.norm:
		return AttnOut
	case before.norm:
		after := reach(x.users(n), linear, x.users)
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
func outputs(x *index, nodes []*onnxpb.NodeProto, states []string) bool {
	for _, n := range nodes {
		for _, out := range n.GetOutput() {
			if x.outputs[out] && !slices.Contains(states, out) {
				return true
			}
		}
	}
	return false
}

// layers numbers the targets by the decoder layer that they stand in: a layer
// ends with its MLP, and the next begins with attention again.
func layers(targets []Target) {
	layer, mlp := -1, true
	for i := range targets {
		switch t := &targets[i]; t.Role {
		case QKV, AttnOut:
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

// roleTargets classifies all linear nodes of m.
func roleTargets(m *onnx.Model, x *index, found []linearNode) []Target {
	linear := map[*onnxpb.NodeProto]bool{}
	for _, l := range found {
		linear[l.node] = true
	}
	states := calib.States(m)
	targets := make([]Target, len(found))
	for i, l := range found {
		targets[i] = l.target
		targets[i].Role = classify(x, l.node, linear, states)
	}
	layers(targets)
	return targets
}
