package quant

import (
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Decision is what became of a matrix product and why.
type Decision struct {
	Node       string  `json:"node"`
	Role       Role    `json:"role"`
	Layer      int     `json:"layer"`
	Quantized  bool    `json:"quantized"`
	Reason     string  `json:"reason"`
	Activation string  `json:"activation"`
	Amax       float32 `json:"amax,omitempty"` // of the activation, where quantized
	Weight     string  `json:"weight"`
	Axis       int     `json:"axis"`
}

// minPerAxis is the first opset whose DequantizeLinear takes a scale a channel.
const minPerAxis = 13

// Int8 is m with the matrix products that the policy takes in explicit INT8:
// both operands come from a DequantizeLinear, symmetric, zero point 0; weights
// are stored as INT8 with one float32 scale an output channel (amax/127),
// activations have one scale a tensor (the table's amax/127) and one
// QuantizeLinear/DequantizeLinear pair that all consumers share. Biases and
// everything else stay float32. A Gemm of the common form becomes a MatMul of
// rank 3 and an Add, for ONNX Runtime has no integer kernel for it.
//
// The decisions tell of every matrix product whether and why, in graph order.
// Errors are of class input: a graph that is quantized already, an opset below
// 13, a tensor that the table lacks or whose range is zero or not finite (all
// of them at once), a weight that is not finite.
func Int8(m *onnx.Model, table *calib.Table, p Policy) (*onnx.Model, []Decision, error) {
	const stage = "quantizing"
	if err := standard(stage, m); err != nil {
		return nil, nil, err
	}
	if n := quantized(m); n != nil {
		return nil, nil, fault.New(fault.Input, stage, label(n), "the model is quantized already", "quantize the float32 model")
	}
	if m.Opset() < minPerAxis {
		return nil, nil, fault.New(fault.Input, stage, "the model",
			fmt.Sprintf("opset %d has no scale per channel, %d is needed", m.Opset(), minPerAxis),
			fmt.Sprintf("export the model with opset %d", onnx.OpsetVersion))
	}
	c := m.Clone()
	if err := hoist(c); err != nil {
		return nil, nil, err
	}
	x := newIndex(c.Graph())
	found := linears(c, x)
	targets := roleTargets(c, x, found)
	q := &quantizer{m: c, x: x, used: usedNames(c.Graph()), table: table,
		activations: map[string]string{}, weights: map[string]string{}, replaced: map[*onnxpb.NodeProto][]*onnxpb.NodeProto{}}
	decisions := make([]Decision, len(targets))
	var errs []error
	for i, t := range targets {
		d, err := q.decide(t, p)
		decisions[i] = d
		if err == nil && d.Quantized {
			err = q.quantize(found[i], t, d.Amax)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	q.splice()
	c.Prune()
	return c, decisions, nil
}

// quantizer rewrites chosen nodes of a graph.
type quantizer struct {
	m           *onnx.Model
	x           *index
	used        names
	table       *calib.Table
	activations map[string]string // tensor -> its dequantized form
	weights     map[string]string // weight and layout -> its dequantized form
	zero, axes  string            // shared constants, empty until needed
	replaced    map[*onnxpb.NodeProto][]*onnxpb.NodeProto
}

// decide judges one matrix product.
func (q *quantizer) decide(t Target, p Policy) (Decision, error) {
	d := Decision{Node: t.Node, Role: t.Role, Layer: t.Layer, Activation: t.Activation, Weight: t.Weight, Axis: t.Axis}
	switch {
	case p.Exclude[t.Node]:
		d.Reason = "excluded by name"
		return d, nil
	case !p.takes(t.Role):
		d.Reason = fmt.Sprintf("the policy leaves %s in high precision", t.Role)
		return d, nil
	}
	r, ok := q.table.Ranges[t.Activation]
	bad := func(cause string) error {
		return fault.New(fault.Input, "quantizing node", t.Node,
			fmt.Sprintf("the calibration table's range of %q %s", t.Activation, cause), "calibrate this model")
	}
	switch err := r.Check(); {
	case !ok:
		return d, bad("is missing")
	case err != nil:
		return d, bad("cannot be used: " + err.Error())
	case r.Amax/127 == 0:
		return d, bad("is zero")
	}
	d.Quantized, d.Amax, d.Reason = true, r.Amax, "the policy takes "+string(t.Role)
	return d, nil
}

// quantize rewrites one node.
func (q *quantizer) quantize(l linearNode, t Target, amax float32) error {
	n := l.node
	if n.GetOpType() == "Gemm" && plainGemm(n) {
		return q.gemm(l, t, amax)
	}
	var before []*onnxpb.NodeProto
	// A MatMul sees [in, out]; a Gemm that stays one keeps the layout it has.
	weight, err := q.weight(t, l.transposed, &before)
	if err != nil {
		return err
	}
	activation := q.activation(t.Activation, t.Activation, amax, &before)
	n.Input[0], n.Input[1] = activation, weight
	q.replaced[n] = append(before, n)
	return nil
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
func (q *quantizer) gemm(l linearNode, t Target, amax float32) error {
	n := l.node
	var nodes []*onnxpb.NodeProto
	weight, err := q.weight(t, t.Axis == 0, &nodes)
	if err != nil {
		return err
	}
	if q.axes == "" {
		q.axes = q.used.take("int8_axes")
		q.m.SetWeight(onnx.Ints(q.axes, []int64{1}, 0))
	}
	name := t.Node
	key := t.Activation + "\x00batched"
	activation, known := q.activations[key]
	if !known {
		batched := q.used.take(t.Activation + "/batched")
		nodes = append(nodes, onnx.Node("Unsqueeze", q.used.take(name+"/Unsqueeze"), []string{t.Activation, q.axes}, []string{batched}))
		activation = q.activation(key, batched, amax, &nodes)
	}
	value := q.used.take(name + "/product")
	nodes = append(nodes, onnx.Node("MatMul", n.GetName(), []string{activation, weight}, []string{value}))
	if len(n.GetInput()) > 2 && n.GetInput()[2] != "" {
		sum := q.used.take(name + "/sum")
		nodes = append(nodes, onnx.Node("Add", q.used.take(name+"/Add"), []string{value, n.GetInput()[2]}, []string{sum}))
		value = sum
	}
	nodes = append(nodes, onnx.Node("Squeeze", q.used.take(name+"/Squeeze"), []string{value, q.axes}, n.GetOutput()))
	q.replaced[n] = nodes
	return nil
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

// weight is the dequantized form of a target's weight, made once a layout.
func (q *quantizer) weight(t Target, transposed bool, nodes *[]*onnxpb.NodeProto) (string, error) {
	key := fmt.Sprint(t.Weight, "\x00", t.Axis, transposed)
	if name, ok := q.weights[key]; ok {
		return name, nil
	}
	w := q.m.Weight(t.Weight)
	scale, err := scales(w, t.Axis)
	if err != nil {
		return "", err
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
	q.weights[key] = name
	return name, nil
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
