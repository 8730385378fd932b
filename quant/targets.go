package quant

import (
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Policy says which matrix products become INT8. The zero value takes QKV and
// FC1, whose inputs are layer norms: they cost next to no accuracy, while the
// two output projections carry nearly all of the loss of a full quantization.
type Policy struct {
	// Roles are taken; nil means QKV and FC1. Scores and Values are attention's
	// two batched products, whose operands are both activations.
	Roles   []Role
	Exclude map[string]bool // node names to leave alone whatever their role
	// WeightOnly stores the weights as INT8 and leaves activations as they are: a
	// smaller file and less traffic, no table, no integer arithmetic. It takes no
	// Scores and Values, which have no weights.
	WeightOnly bool
	// Scales chooses the scales of a weight of rank 2 in place of its channels'
	// absmax/127: one positive finite number for each index of the given axis.
	Scales func(w *onnx.Weight, axis int) ([]float32, error)
}

func (p Policy) takes(r Role) bool {
	if p.WeightOnly && r.batched() {
		return false
	}
	roles := p.Roles
	if roles == nil {
		roles = []Role{QKV, FC1}
	}
	return slices.Contains(roles, r)
}

// Target is a matrix product: of an activation and a constant weight of rank 2,
// or, in attention, of two activations.
type Target struct {
	Node       string // name of the node, or of its output where it has none
	Activation string // the tensor on the left
	Weight     string // the initializer; empty in attention
	Second     string // the tensor on the right, in attention; else empty
	Axis       int    // the weight's dimension of output channels: 1 of [in, out], 0 of [out, in]
	In, Out    int64  // channels; 0 in attention
	Role       Role
	Layer      int // decoder layer; -1 outside of them
}

// Tensors are those whose ranges a table must hold for the target to be
// quantized. The weights of attention, a Softmax's, are known to lie in [0, 1].
func (t Target) Tensors() []string {
	switch t.Role {
	case Scores:
		return []string{t.Activation, t.Second}
	case Values:
		return []string{t.Second}
	}
	return []string{t.Activation}
}

// Observe are the tensors whose ranges the targets need, each once.
func Observe(targets []Target) []string {
	var names []string
	seen := map[string]bool{}
	for _, t := range targets {
		for _, name := range t.Tensors() {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// Targets are the matrix products that the policy takes, in graph order. What it
// takes and what cannot be quantized is an error of class input that names all
// of it.
func Targets(m *onnx.Model, p Policy) ([]Target, error) {
	var targets []Target
	_, all, err := products(m)
	if err != nil {
		return nil, err
	}
	if err := obstacles(all, p); err != nil {
		return nil, err
	}
	for _, l := range all {
		if p.takes(l.target.Role) && !p.Exclude[l.target.Node] {
			targets = append(targets, l.target)
		}
	}
	return targets, nil
}

// Products are all matrix products that can be quantized, attention's among
// them, in graph order.
func Products(m *onnx.Model) ([]Target, error) {
	_, all, err := products(m)
	if err != nil {
		return nil, err
	}
	var targets []Target
	for _, l := range all {
		if l.obstacle == "" {
			targets = append(targets, l.target)
		}
	}
	return targets, nil
}

// Linears are all matrix products with a constant weight of rank 2, whatever
// their role: MatMul and Gemm, with the weight as it is or behind Identity,
// Transpose, Reshape and casts from narrower floats.
func Linears(m *onnx.Model) ([]Target, error) {
	all, err := Products(m)
	return slices.DeleteFunc(all, func(t Target) bool { return t.Role.batched() }), err
}

// linearNode is a target and how its weight reaches it.
type linearNode struct {
	node   *onnxpb.NodeProto
	target Target
	view
	obstacle string // why it cannot be quantized; empty where it can
}

// products are a copy of m that can be changed, and its matrix products in
// graph order, those that cannot be quantized among them.
func products(m *onnx.Model) (*onnx.Model, []linearNode, error) {
	if err := graph.Standard("looking for matrix products", m); err != nil {
		return nil, nil, err
	}
	c := m.Clone()
	if err := graph.Hoist(c); err != nil {
		return nil, nil, err
	}
	x := graph.NewIndex(c.Graph())
	all := linears(c, x)
	assign(c, x, all)
	return c, all, nil
}

func linears(m *onnx.Model, x *graph.Index) []linearNode {
	var all []linearNode
	known := constants(m)
	for _, n := range m.Graph().GetNode() {
		op := n.GetOpType()
		if !onnx.Builtin(n) || (op != "MatMul" && op != "Gemm") || len(n.GetInput()) < 2 || known[n.GetInput()[0]] {
			continue
		}
		name := n.GetName()
		if name == "" {
			name = n.GetOutput()[0]
		}
		l := linearNode{node: n, target: Target{Node: name, Activation: n.GetInput()[0]}}
		switch {
		case known[n.GetInput()[1]]:
			l.view, l.obstacle = trace(m, x, n.GetInput()[1])
			if l.obstacle == "" && len(l.dims) != 2 {
				continue
			}
			l.describe()
		case op == "MatMul":
			if l.target.Role = batched(x, n); l.target.Role == Other {
				continue
			}
			l.target.Second = n.GetInput()[1]
		default:
			continue
		}
		all = append(all, l)
	}
	return all
}

// describe fills in what the weight says about the target.
func (l *linearNode) describe() {
	if l.obstacle != "" {
		return
	}
	axis := 1
	if l.transposed != (l.node.GetOpType() == "Gemm" && onnx.AttrInt(l.node, "transB", 0) != 0) {
		axis = 0
	}
	l.target.Weight, l.target.Axis = l.Name, axis
	l.target.In, l.target.Out = l.dims[1-axis], l.dims[axis]
}
