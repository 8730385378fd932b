package quant

import (
	"fmt"
	"math"

	"github.com/trtforge/trtforge/internal/beside"
	"github.com/trtforge/trtforge/internal/fault"
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
		first := q.activation(d.Activation, d.Amax, &before)
		n.Input[0], n.Input[1] = first, q.activation(d.Second, d.SecondAmax, &before)
		q.replaced[n] = append(before, n)
		return 0, nil
	case n.GetOpType() == "Gemm" && plainGemm(n):
		return q.gemm(l, d.Amax)
	}
	// A MatMul sees [in, out]; a Gemm that stays one keeps the layout it has.
	weight, bytes, err := q.weight(l, l.transposed, &before)
	if err != nil {
		return 0, err
	}
	if !q.policy.WeightOnly {
		n.Input[0] = q.activation(d.Activation, d.Amax, &before)
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
// ONNX Runtime would fuse MatMul and Add to a Gemm again, for which it has
// neither an integer kernel nor one that reads INT8 weights.
func (q *quantizer) gemm(l linearNode, amax float32) (int64, error) {
	n, t := l.node, l.target
	var nodes []*onnxpb.NodeProto
	weight, bytes, err := q.weight(l, t.Axis == 0, &nodes)
	if err != nil {
		return 0, err
	}
	name := t.Node
	batched, known := q.batched[t.Activation]
	if !known {
		batched = q.used.Take(t.Activation + "/batched")
		nodes = append(nodes, onnx.Node("Unsqueeze", q.used.Take(name+"/Unsqueeze"), []string{t.Activation, q.axis0()}, []string{batched}))
		q.batched[t.Activation] = batched
	}
	activation := batched
	if !q.policy.WeightOnly {
		activation = q.activation(batched, amax, &nodes)
	}
	value := q.used.Take(name + "/product")
	nodes = append(nodes, onnx.Node("MatMul", n.GetName(), []string{activation, weight}, []string{value}))
	if len(n.GetInput()) > 2 && n.GetInput()[2] != "" {
		sum := q.used.Take(name + "/sum")
		nodes = append(nodes, onnx.Node("Add", q.used.Take(name+"/Add"), []string{value, n.GetInput()[2]}, []string{sum}))
		value = sum
	}
	nodes = append(nodes, onnx.Node("Squeeze", q.used.Take(name+"/Squeeze"), []string{value, q.axis0()}, n.GetOutput()))
	q.replaced[n] = nodes
	return bytes, nil
}

// axis0 is the constant that names the first axis.
func (q *quantizer) axis0() string {
	if q.axes == "" {
		q.axes = q.used.Take("int8_axes")
		q.m.SetWeight(onnx.Ints(q.axes, []int64{1}, 0))
	}
	return q.axes
}

// pairs are the QuantizeLinear/DequantizeLinear pairs of one tensor.
type pairs struct {
	scale string
	made  int
	last  string // what the last one gives
}

// apart are attributes by which pairs of one tensor differ. The axis means
// nothing where there is one scale, and exists in every matrix.
var apart = [][]any{nil, {"axis", 0}, {"axis", -1}, {"axis", -2}}

// activation is a dequantized form of value for one more product.
//
// Every product gets a pair of its own. ONNX Runtime has fast integer kernels
// for unsigned activations and makes ours so, but only where a QuantizeLinear
// has one consumer; queries, keys and values of one norm would be multiplied in
// float. Since it first merges pairs that are equal, they differ in an attribute
// that says nothing. NVIDIA's builder sees them equal and still multiplies all
// three at once.
func (q *quantizer) activation(value string, amax float32, nodes *[]*onnxpb.NodeProto) string {
	if q.zero == "" {
		q.zero = q.used.Take("int8_zero")
		q.m.SetWeight(&onnx.Weight{Name: q.zero, Type: onnx.Int8, Data: onnx.Memory{0}})
	}
	p := q.pairs[value]
	if p == nil {
		p = &pairs{scale: q.used.Take(value + "/scale")}
		q.pairs[value] = p
		q.m.SetWeight(onnx.Floats(p.scale, nil, amax/127))
	}
	if p.made == len(apart) {
		return p.last
	}
	level, name := q.used.Take(value+"/int8"), q.used.Take(value+"/dequantized")
	*nodes = append(*nodes,
		onnx.Node("QuantizeLinear", q.used.Take(value+"/QuantizeLinear"), []string{value, p.scale, q.zero}, []string{level}, apart[p.made]...),
		onnx.Node("DequantizeLinear", q.used.Take(value+"/DequantizeLinear"), []string{level, p.scale, q.zero}, []string{name}, apart[p.made]...))
	p.made, p.last = p.made+1, name
	return name
}

// weight is the dequantized form of a product's weight, made once a layout, and
// the bytes of what was made.
func (q *quantizer) weight(l linearNode, transposed bool, nodes *[]*onnxpb.NodeProto) (string, int64, error) {
	t, w := l.target, l.as()
	key := fmt.Sprint(measuredKey(t, w), transposed)
	if name, ok := q.weights[key]; ok {
		q.correct(l, q.chosen[key])
		return name, 0, nil
	}
	m, known := q.measured[measuredKey(t, w)]
	if !known {
		m.scale, m.err = q.scales(w, t.Axis)
	}
	if m.err != nil {
		return "", 0, m.err
	}
	scale := m.scale
	q.chosen[key] = scale
	q.correct(l, scale)
	level := quantize(w, q.used.Take(t.Weight+"/int8"), t.Axis, scale)
	axis := t.Axis
	if transposed {
		level, axis = transpose(level), 1-axis
	}
	q.m.SetWeight(level)
	scaleName, name := q.used.Take(t.Weight+"/scale"), q.used.Take(t.Weight+"/dequantized")
	q.m.SetWeight(onnx.Floats(scaleName, []int64{int64(len(scale))}, scale...))
	*nodes = append(*nodes, onnx.Node("DequantizeLinear", q.used.Take(t.Weight+"/DequantizeLinear"),
		[]string{level.Name, scaleName}, []string{name}, "axis", axis))
	q.weights[key], q.floats[t.Weight] = name, l.Weight
	return name, level.Data.Size() + 4*int64(len(scale)), nil
}

// measured are the scales of a weight, or why it has none.
type measured struct {
	scale []float32
	err   error
}

func measuredKey(t Target, w *onnx.Weight) string {
	return fmt.Sprint(t.Weight, "\x00", w.Dims, t.Axis)
}

// measure finds the scales of the weights that are quantized, side by side: it is
// the first of two passes over all of them.
func (q *quantizer) measure(found []linearNode, decisions []Decision) {
	if q.policy.Scales != nil {
		return // nothing says that it may be called so
	}
	q.measured = map[string]measured{}
	var keys []string
	var all []linearNode
	for i, l := range found {
		if !decisions[i].Quantized || l.Weight == nil || l.target.Role.batched() {
			continue
		}
		key := measuredKey(l.target, l.as())
		if _, known := q.measured[key]; !known {
			q.measured[key] = measured{}
			keys, all = append(keys, key), append(all, l)
		}
	}
	made := make([]measured, len(all))
	beside.Do(len(all), beside.All, func(i int) {
		made[i].scale, made[i].err = scales(all[i].as(), all[i].target.Axis)
	})
	for i, key := range keys {
		q.measured[key] = made[i]
	}
}

// scales are those that the policy chooses, absmax/127 unless it says otherwise.
func (q *quantizer) scales(w *onnx.Weight, axis int) ([]float32, error) {
	if q.policy.Scales == nil {
		return scales(w, axis)
	}
	scale, err := q.policy.Scales(w, axis)
	if err != nil {
		return nil, err // it says of what class
	}
	if int64(len(scale)) != w.Dims[axis] {
		err = fmt.Errorf("%d scales for %d channels", len(scale), w.Dims[axis])
	}
	for i, s := range scale {
		if err == nil && !(s > 0 && s <= math.MaxFloat32) {
			err = fmt.Errorf("scale %d is %v", i, s)
		}
	}
	return scale, fault.Wrap(fault.Runtime, "quantizing weight", w.Name, err, "choose its scales otherwise")
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
