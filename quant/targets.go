package quant

import (
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Policy says which matrix products become INT8. The zero value takes QKV and
// FC1, whose inputs are layer norms: they cost next to no accuracy, while the
// two output projections carry nearly all of the loss of a full quantization.
type Policy struct {
	Roles   []Role          // nil means QKV and FC1
	Exclude map[string]bool // node names to leave alone whatever their role
}

func (p Policy) takes(r Role) bool {
	roles := p.Roles
	if roles == nil {
		roles = []Role{QKV, FC1}
	}
	return slices.Contains(roles, r)
}

// Target is a matrix product with a constant weight of rank 2.
type Target struct {
	Node       string // name of the node, or of its output where it has none
	Activation string // the tensor whose range is needed
	Weight     string // the initializer
	Axis       int    // the weight's dimension of output channels: 1 of [in, out], 0 of [out, in]
	In, Out    int64  // channels
	Role       Role
	Layer      int // decoder layer; -1 outside of them
}

// Targets are the matrix products that the policy takes, in graph order.
func Targets(m *onnx.Model, p Policy) ([]Target, error) {
	all, err := Linears(m)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t Target) bool { return !p.takes(t.Role) || p.Exclude[t.Node] }), nil
}

// Linears are all matrix products with a constant weight of rank 2, whatever
// their role: MatMul and Gemm, with the weight as it is or behind Identity and
// Transpose.
func Linears(m *onnx.Model) ([]Target, error) {
	if err := standard("looking for matrix products", m); err != nil {
		return nil, err
	}
	c := m.Clone()
	if err := hoist(c); err != nil {
		return nil, err
	}
	x := newIndex(c.Graph())
	return roleTargets(c, x, linears(c, x)), nil
}

// linearNode is a target and how its weight reaches it.
type linearNode struct {
	node   *onnxpb.NodeProto
	target Target
	// transposed tells that the node sees the weight's transpose through a
	// Transpose node (tied embeddings).
	transposed bool
}

func linears(m *onnx.Model, x *index) []linearNode {
	var all []linearNode
	for _, n := range m.Graph().GetNode() {
		op := n.GetOpType()
		if !builtin(n) || (op != "MatMul" && op != "Gemm") || len(n.GetInput()) < 2 {
			continue
		}
		w, transposed := source(m, x, n.GetInput()[1])
		if w == nil || w.Type != onnx.Float32 || len(w.Dims) != 2 || m.Weight(n.GetInput()[0]) != nil {
			continue
		}
		axis := 1
		if transposed != (op == "Gemm" && onnx.AttrInt(n, "transB", 0) != 0) {
			axis = 0
		}
		name := n.GetName()
		if name == "" {
			name = n.GetOutput()[0]
		}
		all = append(all, linearNode{node: n, transposed: transposed, target: Target{
			Node: name, Activation: n.GetInput()[0], Weight: w.Name, Axis: axis, In: w.Dims[1-axis], Out: w.Dims[axis],
		}})
	}
	return all
}

// source follows a value back through Identity and one Transpose to the weight
// that it is; nil where it is computed.
func source(m *onnx.Model, x *index, value string) (w *onnx.Weight, transposed bool) {
	for range 8 { // chains are short; a longer one is not followed
		if w := m.Weight(value); w != nil {
			return w, transposed
		}
		p := x.producer[value]
		switch {
		case p == nil || len(p.GetInput()) == 0:
			return nil, false
		case p.GetOpType() == "Identity":
		case p.GetOpType() == "Transpose" && swaps(p):
			transposed = !transposed
		default:
			return nil, false
		}
		value = p.GetInput()[0]
	}
	return nil, false
}

// swaps tells whether a Transpose of a matrix transposes it.
func swaps(n *onnxpb.NodeProto) bool {
	perm := onnx.Attr(n, "perm").GetInts()
	return len(perm) == 0 || slices.Equal(perm, []int64{1, 0})
}
