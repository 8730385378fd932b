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
// switch is an If: the branch that is not taken costs nothing.
//
// The graph is for measuring on ONNX Runtime only. It holds the candidates'
// weights twice, in float32. A nil table leaves activations as they are whatever
// is fed. Errors are those of Int8.
func Probe(m *onnx.Model, table *calib.Table, candidates []Target) (*onnx.Model, error) {
	const stage = "making the probe"
	if err := standard(stage, m); err != nil {
		return nil, err
	}
	if n := quantized(m); n != nil {
		return nil, fault.New(fault.Input, stage, label(n), "the model is quantized already", "probe the float32 model")
	}
	c := m.Clone()
	if err := hoist(c); err != nil {
		return nil, err
	}
	g := c.Graph()
	n := int64(len(candidates))
	g.Input = append(g.Input, onnx.ValueInfo(ProbeActivations, onnx.Bool, onnx.Fixed(n)), onnx.ValueInfo(ProbeWeights, onnx.Bool, onnx.Fixed(n)))
	p := &prober{m: c, used: usedNames(g), table: table, at: map[string]int{}, weights: map[string]string{}}
	for i, t := range candidates {
		p.at[t.Node] = i
	}
	linear := map[*onnxpb.NodeProto]linearNode{}
	for _, l := range linears(c, newIndex(g)) {
		linear[l.node] = l
	}
	var errs []error
	for _, node := range g.GetNode() {
		i, chosen := p.at[linear[node].target.Node]
		if _, ok := linear[node]; !ok || !chosen {
			p.nodes = append(p.nodes, node)
			continue
		}
		errs = append(errs, p.switches(i, linear[node], candidates[i]))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.Node = p.nodes
	return c, nil
}

// prober rewrites the nodes of a graph.
type prober struct {
	m       *onnx.Model
	used    names
	table   *calib.Table
	at      map[string]int    // node -> its place among the candidates
	weights map[string]string // weight and layout -> its rounded form
	nodes   []*onnxpb.NodeProto
}

// switches puts the node of candidate i between two Ifs.
func (p *prober) switches(i int, l linearNode, t Target) error {
	value := t.Activation
	if p.table != nil {
		amax, err := usableAmax(p.table, t)
		if err != nil {
			return err
		}
		value = p.activation(i, t, amax)
	}
	rounded, err := p.weight(l, t)
	if err != nil {
		return err
	}
	branch := func(name, weight string) *onnxpb.GraphProto {
		n := proto.Clone(l.node).(*onnxpb.NodeProto)
		n.Name = p.used.take(t.Node + "/" + name)
		n.Input[0], n.Input[1] = value, weight
		n.Output = []string{p.used.take(n.GetOutput()[0] + "/" + name)}
		return subgraph(n)
	}
	p.choose(ProbeWeights, i, t.Node+"/weight", branch("rounded", rounded), branch("exact", l.node.GetInput()[1]), l.node.GetOutput()[0])
	return nil
}

// activation is the candidate's activation, rounded where its flag says so.
func (p *prober) activation(i int, t Target, amax float32) string {
	scale, zero := p.used.take(t.Node+"/probe_scale"), p.used.take(t.Node+"/probe_zero")
	p.m.SetWeight(onnx.Floats(scale, nil, amax/127))
	p.m.SetWeight(&onnx.Weight{Name: zero, Type: onnx.Int8, Data: onnx.Memory{0}})
	level, rounded, same := p.used.take(t.Node+"/probe_level"), p.used.take(t.Node+"/probe_rounded"), p.used.take(t.Node+"/probe_same")
	then := subgraph(
		onnx.Node("QuantizeLinear", level+"/Q", []string{t.Activation, scale, zero}, []string{level}),
		onnx.Node("DequantizeLinear", level+"/DQ", []string{level, scale, zero}, []string{rounded}))
	other := subgraph(onnx.Node("Identity", same+"/Identity", []string{t.Activation}, []string{same}))
	out := p.used.take(t.Node + "/probe_activation")
	p.choose(ProbeActivations, i, t.Node+"/activation", then, other, out)
	return out
}

// choose adds an If on flag i of an input.
func (p *prober) choose(flags string, i int, name string, then, other *onnxpb.GraphProto, out string) {
	index, flag := p.used.take(name+"/index"), p.used.take(name+"/flag")
	p.m.SetWeight(onnx.Ints(index, nil, int64(i)))
	node := onnx.Node("If", p.used.take(name+"/If"), []string{flag}, []string{out})
	for _, b := range []struct {
		name string
		g    *onnxpb.GraphProto
	}{{"then_branch", then}, {"else_branch", other}} {
		b.g.Name = p.used.take(name + "/" + b.name)
		node.Attribute = append(node.Attribute, &onnxpb.AttributeProto{Name: b.name, Type: onnxpb.AttributeProto_GRAPH, G: b.g})
	}
	p.nodes = append(p.nodes, onnx.Node("Gather", p.used.take(name+"/Gather"), []string{flags, index}, []string{flag}), node)
}

// subgraph is a branch whose output is what its last node makes, a float of any shape.
func subgraph(nodes ...*onnxpb.NodeProto) *onnxpb.GraphProto {
	out := onnx.ValueInfo(nodes[len(nodes)-1].GetOutput()[0], onnx.Float32)
	out.GetType().GetTensorType().Shape = nil
	return &onnxpb.GraphProto{Node: nodes, Output: []*onnxpb.ValueInfoProto{out}}
}

// weight is the rounded form of a candidate's weight in the layout that its node
// sees, made once a layout.
func (p *prober) weight(l linearNode, t Target) (string, error) {
	key := fmt.Sprint(t.Weight, "\x00", t.Axis, l.transposed)
	if name, ok := p.weights[key]; ok {
		return name, nil
	}
	w := p.m.Weight(t.Weight)
	scale, err := scales(w, t.Axis)
	if err != nil {
		return "", err
	}
	level, axis := quantize(w, p.used.take(t.Weight+"/rounded"), t.Axis, scale), t.Axis
	if l.transposed {
		level, axis = transpose(level), 1-axis
	}
	p.m.SetWeight(dequantize(level, axis, scale))
	p.weights[key] = level.Name
	return level.Name, nil
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

// usableAmax is the magnitude that becomes 127 in a candidate's activation.
func usableAmax(table *calib.Table, t Target) (float32, error) {
	q := quantizer{table: table}
	d, err := q.decide(t, Policy{Roles: []Role{t.Role}})
	return d.Amax, err
}
