package quant

import (
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/onnx/shape"
)

// partial are the operators between a joint projection and the Split of its
// result: they move it or add its bias.
var partial = []string{"Add", "Squeeze", "Unsqueeze", "Reshape", "Identity"}

// lay makes of a Split of n's result into equal parts of its last axis:
//
//	[..., k*n] -Reshape-> [..., k, n] -Transpose-> [k, ..., n] -Split-> k x [1, ..., n] -Squeeze-> k x [..., n]
//
// The values are the same. NVIDIA's builder cuts a product whose columns are
// split right behind it into its parts, and multiplies them in float; behind the
// transpose it keeps the product whole, in INT8 (seen with TensorRT-RTX 1.7).
func (q *quantizer) lay(n *onnxpb.NodeProto, out int64) {
	todo, seen := q.x.Users(n), map[*onnxpb.NodeProto]bool{}
	for len(todo) > 0 {
		u := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch {
		case seen[u] || q.replaced[u] != nil:
		case u.GetOpType() == "Split":
			if parts, ok := q.parts(u, out); ok {
				q.replaced[u] = q.beside(u, parts, out/parts)
			}
		case slices.Contains(partial, u.GetOpType()):
			todo = append(todo, q.x.Users(u)...)
		}
		seen[u] = true
	}
}

// parts tells into how many equal parts a Split cuts its last axis, where that
// is out long and everything about it is known.
func (q *quantizer) parts(n *onnxpb.NodeProto, out int64) (int64, bool) {
	k := int64(len(n.GetOutput()))
	dims := q.shape(n.GetInput()[0])
	rank := int64(len(dims))
	axis := onnx.AttrInt(n, "axis", 0)
	if axis < 0 {
		axis += rank
	}
	if k < 2 || out%k != 0 || rank < 2 || axis != rank-1 || slices.Contains(n.GetOutput(), "") || dims[axis] != onnx.Fixed(out) {
		return 0, false
	}
	if len(n.GetInput()) < 2 || n.GetInput()[1] == "" {
		return k, true // equal parts, by num_outputs or by default
	}
	sizes, err := ints(q.m, q.x, n.GetInput()[1])
	return k, err == nil && !slices.ContainsFunc(sizes, func(s int64) bool { return s != out/k })
}

// beside are the nodes that take a Split's place.
func (q *quantizer) beside(n *onnxpb.NodeProto, parts, width int64) []*onnxpb.NodeProto {
	name := n.GetOutput()[0]
	rank := len(q.shape(n.GetInput()[0]))
	shape, perm := make([]int64, rank+1), []int64{int64(rank) - 1} // 0 keeps a dimension
	shape[rank-1], shape[rank] = parts, width
	for i := range int64(rank + 1) {
		if i != int64(rank)-1 {
			perm = append(perm, i)
		}
	}
	to := q.used.Take(name + "/beside")
	q.m.SetWeight(onnx.Ints(to, []int64{int64(len(shape))}, shape...))
	cut, turned := q.used.Take(name+"/cut"), q.used.Take(name+"/turned")
	nodes := []*onnxpb.NodeProto{
		onnx.Node("Reshape", q.used.Take(name+"/Reshape"), []string{n.GetInput()[0], to}, []string{cut}),
		onnx.Node("Transpose", q.used.Take(name+"/Transpose"), []string{cut}, []string{turned}, "perm", perm),
	}
	split := onnx.Node("Split", n.GetName(), []string{turned}, nil, "axis", 0)
	if q.m.Opset() >= 18 {
		split.Attribute = append(split.Attribute, onnx.Node("", "", nil, nil, "num_outputs", parts).Attribute...)
	}
	nodes = append(nodes, split)
	for _, out := range n.GetOutput() {
		part := q.used.Take(out + "/part")
		split.Output = append(split.Output, part)
		nodes = append(nodes, onnx.Node("Squeeze", q.used.Take(out+"/Squeeze"), []string{part, q.axis0()}, []string{out}))
	}
	return nodes
}

// shape is what the graph, or inference, knows of a value's dimensions; nil
// where that is nothing.
func (q *quantizer) shape(value string) []onnx.Dim {
	if q.shapes == nil {
		q.shapes = map[string][]onnx.Dim{}
		c := q.m.Clone()
		_ = shape.Infer(c) // what it cannot infer stays unknown
		for _, v := range c.Graph().GetValueInfo() {
			_, q.shapes[v.GetName()] = onnx.TypeOf(v)
		}
	}
	return q.shapes[value]
}
