package quant

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// The inputs of a [Probe]: bool, one element a candidate, true where the operand
// of that candidate is quantized.
const (
	ProbeActivations = "probe/activations"
	ProbeWeights     = "probe/weights"
)

// Probe is m with a switch at both operands of every candidate, so that one
// session measures any choice of them: its two further inputs say which
// activations and which weights are rounded to INT8. With both set it computes
// what [Int8] of the same products does, but for the order of float sums. A
// switch is an If: the branch that is not taken costs nothing. In attention both
// operands are activations.
//
// The graph is for measuring on ONNX Runtime only. It holds the candidates'
// weights twice, in float32. A nil table leaves activations as they are whatever
// is fed. Errors are those of Int8.
func Probe(m *onnx.Model, table *calib.Table, candidates []Target) (*onnx.Model, error) {
	if n := graph.Quantized(m); n != nil {
		return nil, fault.New(fault.Input, "making the probe", graph.Label(n), "the model is quantized already", "probe the float32 model")
	}
	c, found, err := products(m)
	if err != nil {
		return nil, err
	}
	g := c.Graph()
	n := int64(len(candidates))
	p := &prober{quantizer: newQuantizer(c, table, Policy{Roles: Roles, WeightOnly: table == nil}), rounded: map[string]string{}}
	at, linear := map[string]int{}, map[*onnxpb.NodeProto]linearNode{}
	for i, t := range candidates {
		at[t.Node] = i
	}
	for _, l := range found {
		linear[l.node] = l
	}
	g.Input = append(g.Input, onnx.ValueInfo(ProbeActivations, onnx.Bool, onnx.Fixed(n)), onnx.ValueInfo(ProbeWeights, onnx.Bool, onnx.Fixed(n)))
	var errs []error
	for _, node := range g.GetNode() {
		l, product := linear[node]
		i, chosen := at[l.target.Node]
		if !product || !chosen {
			p.nodes = append(p.nodes, node)
			continue
		}
		errs = append(errs, p.switches(i, l))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.Node = p.nodes
	return c, nil
}

// prober rewrites the nodes of a graph. The quantizer in it decides and knows
// names; it rewrites nothing.
type prober struct {
	*quantizer
	rounded map[string]string // weight and layout -> its rounded form
	nodes   []*onnxpb.NodeProto
}

// switches puts the node of candidate i between Ifs.
func (p *prober) switches(i int, l linearNode) error {
	d, err := p.decide(l.target, p.policy)
	if err == nil && l.obstacle != "" {
		err = fault.New(fault.Input, "quantizing node", l.target.Node, l.obstacle, remedy(l))
	}
	if err != nil {
		return err
	}
	n := l.node
	first := d.Activation
	if !p.policy.WeightOnly {
		first = p.activation(i, d.Node+"/first", d.Activation, d.Amax)
	}
	if d.Second != "" {
		n.Input[0], n.Input[1] = first, p.activation(i, d.Node+"/second", d.Second, d.SecondAmax)
		p.nodes = append(p.nodes, n)
		return nil
	}
	weight, scale, err := p.weight(l)
	if err != nil {
		return err
	}
	flag := p.flag(ProbeWeights, i, d.Node+"/weight")
	exact := p.product(n, first, n.GetInput()[1], "exact")
	p.bias(l, scale, flag)
	p.choose(flag, d.Node+"/weight", n.GetOutput()[0], subgraph(p.product(n, first, weight, "rounded")), subgraph(exact))
	return nil
}

// bias corrects the product's bias as Int8 does, where the weight is rounded.
func (p *prober) bias(l linearNode, scale []float32, flag string) {
	n, input := bias(p.m, p.x, l)
	if n == nil {
		return
	}
	before := n.GetInput()[input]
	p.correct(l, scale)
	corrected := n.GetInput()[input]
	if n == l.node || corrected == before { // the copies of a Gemm have their own
		return
	}
	n.Input[input] = p.used.Take(corrected + "/switched")
	p.nodes = append(p.nodes, onnx.Node("Where", n.Input[input]+"/Where", []string{flag, corrected, before}, []string{n.Input[input]}))
}

// product is a copy of a node with other operands.
func (p *prober) product(n *onnxpb.NodeProto, first, second, name string) *onnxpb.NodeProto {
	c := proto.Clone(n).(*onnxpb.NodeProto)
	c.Name = p.used.Take(n.GetOutput()[0] + "/" + name + "/node")
	c.Input[0], c.Input[1] = first, second
	c.Output = []string{p.used.Take(n.GetOutput()[0] + "/" + name)}
	return c
}

// activation is a value that is rounded where flag i says so.
func (p *prober) activation(i int, name, value string, amax float32) string {
	scale, zero := p.used.Take(name+"/scale"), p.used.Take(name+"/zero")
	p.m.SetWeight(onnx.Floats(scale, nil, amax/127))
	p.m.SetWeight(&onnx.Weight{Name: zero, Type: onnx.Int8, Data: onnx.Memory{0}})
	level, rounded, same := p.used.Take(name+"/level"), p.used.Take(name+"/rounded"), p.used.Take(name+"/same")
	then := subgraph(
		onnx.Node("QuantizeLinear", level+"/Q", []string{value, scale, zero}, []string{level}),
		onnx.Node("DequantizeLinear", level+"/DQ", []string{level, scale, zero}, []string{rounded}))
	other := subgraph(onnx.Node("Identity", same+"/Identity", []string{value}, []string{same}))
	out := p.used.Take(name + "/switched")
	p.choose(p.flag(ProbeActivations, i, name), name, out, then, other)
	return out
}

// flag is element i of an input, a scalar.
func (p *prober) flag(flags string, i int, name string) string {
	index, flag := p.used.Take(name+"/index"), p.used.Take(name+"/flag")
	p.m.SetWeight(onnx.Ints(index, nil, int64(i)))
	p.nodes = append(p.nodes, onnx.Node("Gather", p.used.Take(name+"/Gather"), []string{flags, index}, []string{flag}))
	return flag
}

// choose adds an If.
func (p *prober) choose(flag, name, out string, then, other *onnxpb.GraphProto) {
	node := onnx.Node("If", p.used.Take(name+"/If"), []string{flag}, []string{out})
	for _, b := range []struct {
		name string
		g    *onnxpb.GraphProto
	}{{"then_branch", then}, {"else_branch", other}} {
		b.g.Name = p.used.Take(name + "/" + b.name)
		node.Attribute = append(node.Attribute, &onnxpb.AttributeProto{Name: b.name, Type: onnxpb.AttributeProto_GRAPH, G: b.g})
	}
	p.nodes = append(p.nodes, node)
}

// subgraph is a branch whose output is what its last node makes, a float of any shape.
func subgraph(nodes ...*onnxpb.NodeProto) *onnxpb.GraphProto {
	out := onnx.ValueInfo(nodes[len(nodes)-1].GetOutput()[0], onnx.Float32)
	out.GetType().GetTensorType().Shape = nil
	return &onnxpb.GraphProto{Node: nodes, Output: []*onnxpb.ValueInfoProto{out}}
}

// weight is the rounded form of a product's weight in the layout that its node
// sees, made once a layout, and its scales.
func (p *prober) weight(l linearNode) (string, []float32, error) {
	t, w := l.target, l.as()
	key := fmt.Sprint(t.Weight, "\x00", w.Dims, t.Axis, l.transposed)
	if name, ok := p.rounded[key]; ok {
		return name, p.chosen[key], nil
	}
	scale, err := p.scales(w, t.Axis)
	if err != nil {
		return "", nil, err
	}
	level, axis := quantize(w, p.used.Take(t.Weight+"/rounded"), t.Axis, scale), t.Axis
	if l.transposed {
		level, axis = transpose(level), 1-axis
	}
	p.m.SetWeight(dequantize(level, axis, scale))
	p.rounded[key], p.chosen[key] = level.Name, scale
	return level.Name, scale, nil
}

// dequantize is the INT8 weight w in float32, while it is read: each level times
// the scale of its channel, an index of axis.
func dequantize(w *onnx.Weight, axis int, scale []float32) *onnx.Weight {
	cols := w.Dims[1]
	return &onnx.Weight{Name: w.Name, Type: onnx.Float32, Dims: w.Dims, Data: onnx.Generated{
		Length: 4 * w.Dims[0] * cols,
		Write: func(out io.Writer) error {
			in := w.Data.Reader()
			if c, ok := in.(io.Closer); ok {
				defer func() { _ = c.Close() }()
			}
			levels, line := make([]byte, cols), make([]byte, 4*cols)
			for row := range w.Dims[0] {
				if _, err := io.ReadFull(in, levels); err != nil {
					return fmt.Errorf("reading weight %q: %w", w.Name, err)
				}
				for col, level := range levels {
					s := scale[[2]int64{row, int64(col)}[axis]]
					binary.LittleEndian.PutUint32(line[4*col:], math.Float32bits(float32(int8(level))*s))
				}
				if _, err := out.Write(line); err != nil {
					return err
				}
			}
			return nil
		},
	}}
}
