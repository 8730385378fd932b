package quant

import (
	"fmt"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// rewrite quantizes one product as it was decided and returns the bytes that
// its weight adds.
func (q *quantizer) rewrite(l linearNode, d Decision) (int64, error) {
	n := l.node
	if !q.policy.WeightOnly && l.target.Second == "" {
		q.lay(n, l.target.Out)
	}
	var before []*onnxpb.NodeProto
	switch {
	case l.target.Second != "":
		first := q.activation(d.Activation, d.Activation, d.Amax, &before)
		n.Input[0], n.Input[1] = first, q.activation(d.Second, d.Second, d.SecondAmax, &before)
		q.replaced[n] = append(before, n)
		return 0, nil
	case n.GetOpType() == "Gemm" && plainGemm(n) && !q.policy.WeightOnly:
		return q.gemm(l, d.Amax)
	}
	// A MatMul sees [in, out]; a Gemm that stays one keeps the layout it has.
	weight, bytes, err := q.weight(l, l.weight.transposed, &before)
	if err != nil {
		return 0, err
	}
	if !q.policy.WeightOnly {
		n.Input[0] = q.activation(d.Activation, d.Activation, d.Amax, &before)
	}
	n.Input[1] = weight
	q.replaced[n] = append(before, n)
	return bytes, nil
}

// plainGemm tells whether a Gemm is a product and a sum and nothing else.
func plainGemm(n *onnxpb.NodeProto) bool {
	one := func(name string) bool {
		a := onnx.Attr(n, name)
		return a == nil || a.GetF() == 1
	}
	return onnx.AttrInt(n, "transA", 0) == 0 && one("alpha") && (one("beta") || len(n.GetInput()) < 3)
}

// gemm makes of a Gemm: Unsqueeze, the quantized MatMul, Add, Squeeze. Of rank 2
// ONNX Runtime would fuse MatMul and Add to a Gemm again, in float.
func (q *quantizer) gemm(l linearNode, amax float32) (int64, error) {
	n, t := l.node, l.target
	var nodes []*onnxpb.NodeProto
	weight, bytes, err := q.weight(l, t.Axis == 0, &nodes)
	if err != nil {
		return 0, err
	}
	name := t.Node
	key := t.Activation + "\x00batched"
	activation, known := q.activations[key]
	if !known {
		batched := q.used.take(t.Activation + "/batched")
		nodes = append(nodes, onnx.Node("Unsqueeze", q.used.take(name+"/Unsqueeze"), []string{t.Activation, q.axis0()}, []string{batched}))
		activation = q.activation(key, batched, amax, &nodes)
	}
	value := q.used.take(name + "/product")
	nodes = append(nodes, onnx.Node("MatMul", n.GetName(), []string{activation, weight}, []string{value}))
	if len(n.GetInput()) > 2 && n.GetInput()[2] != "" {
		sum := q.used.take(name + "/sum")
		nodes = append(nodes, onnx.Node("Add", q.used.take(name+"/Add"), []string{value, n.GetInput()[2]}, []string{sum}))
		value = sum
	}
	nodes = append(nodes, onnx.Node("Squeeze", q.used.take(name+"/Squeeze"), []string{value, q.axis0()}, n.GetOutput()))
	q.replaced[n] = nodes
	return bytes, nil
}

// axis0 is the constant that names the first axis.
func (q *quantizer) axis0() string {
	if q.axes == "" {
		q.axes = q.used.take("int8_axes")
		q.m.SetWeight(onnx.Ints(q.axes, []int64{1}, 0))
	}
	return q.axes
}

// activation is the dequantized form of value, made once a key.
func (q *quantizer) activation(key, value string, amax float32, nodes *[]*onnxpb.NodeProto) string {
	if name, ok := q.activations[key]; ok {
		return name
	}
	if q.zero == "" {
		q.zero = q.used.take("int8_zero")
		q.m.SetWeight(&onnx.Weight{Name: q.zero, Type: onnx.Int8, Data: onnx.Memory{0}})
	}
	scale := q.used.take(value + "/scale")
	q.m.SetWeight(onnx.Floats(scale, nil, amax/127))
	level, name := q.used.take(value+"/int8"), q.used.take(value+"/dequantized")
	*nodes = append(*nodes,
		onnx.Node("QuantizeLinear", q.used.take(value+"/QuantizeLinear"), []string{value, scale, q.zero}, []string{level}),
		onnx.Node("DequantizeLinear", q.used.take(value+"/DequantizeLinear"), []string{level, scale, q.zero}, []string{name}))
	q.activations[key] = name
	return name
}

// weight is the dequantized form of a product's weight, made once a layout, and
// the bytes of what was made.
func (q *quantizer) weight(l linearNode, transposed bool, nodes *[]*onnxpb.NodeProto) (string, int64, error) {
	t, w := l.target, l.weight.as()
	key := fmt.Sprint(t.Weight, "\x00", w.Dims, t.Axis, transposed)
	if name, ok := q.weights[key]; ok {
		return name, 0, nil
	}
	choose := q.policy.Scales
	if choose == nil {
		choose = scales
	}
	scale, err := choose(w, t.Axis)
	if err != nil {
		return "", 0, err
	}
	level := quantize(w, q.used.take(t.Weight+"/int8"), t.Axis, scale)
	axis := t.Axis
	if transposed {
		level, axis = transpose(level), 1-axis
	}
	q.m.SetWeight(level)
	scaleName, name := q.used.take(t.Weight+"/scale"), q.used.take(t.Weight+"/dequantized")
	q.m.SetWeight(onnx.Floats(scaleName, []int64{int64(len(scale))}, scale...))
	*nodes = append(*nodes, onnx.Node("DequantizeLinear", q.used.take(t.Weight+"/DequantizeLinear"),
		[]string{level.Name, scaleName}, []string{name}, "axis", axis))
	q.weights[key], q.floats[t.Weight] = name, l.weight.Weight
	return name, level.Data.Size() + 4*int64(len(scale)), nil
}

// splice puts the rewritten nodes where the originals were. What several share
// stands before the first, which keeps the topological order.
func (q *quantizer) splice() {
	g := q.m.Graph()
	var nodes []*onnxpb.NodeProto
	for _, n := range g.GetNode() {
		if r, ok := q.replaced[n]; ok {
			nodes = append(nodes, r...)
		} else {
			nodes = append(nodes, n)
		}
	}
	g.Node = nodes
}
