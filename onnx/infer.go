package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Infer fills the graph's value_info: the type and the symbolic shape of every
// value that a node makes and that is no output. It knows the operators that
// trtforge emits; what another one makes stays as value_info states it, or
// without a type together with all that depends on it, and the returned error
// names each such node. A graph output whose statement contradicts what its
// node computes is an error too. Subgraphs are left alone.
func Infer(m *Model) error {
	in := &inference{facts: map[string]*fact{}, opset: m.Opset()}
	g := m.Graph()
	for _, values := range [][]*onnxpb.ValueInfoProto{g.GetValueInfo(), g.GetInput()} {
		for _, v := range values {
			in.state(v)
		}
	}
	for _, t := range g.GetInitializer() {
		w := m.weights[t.GetName()]
		if w == nil {
			return fmt.Errorf("inferring shapes: weight %q has no data", t.GetName())
		}
		in.facts[w.Name] = weightFact(w)
	}
	for i, n := range g.GetNode() {
		if err := in.node(n); err != nil {
			in.errs = append(in.errs, fmt.Errorf("node %s (%s): %w", label(i, n), n.GetOpType(), err))
		}
	}
	outputs := map[string]bool{}
	for _, v := range g.GetOutput() {
		outputs[v.GetName()] = true
		if err := in.confirm(v); err != nil {
			in.errs = append(in.errs, err)
		}
	}
	g.ValueInfo = nil
	for _, n := range g.GetNode() {
		for _, name := range n.GetOutput() {
			if f := in.facts[name]; f != nil && name != "" && !outputs[name] {
				g.ValueInfo = append(g.ValueInfo, f.valueInfo(name))
			}
		}
	}
	return errors.Join(in.errs...)
}

// label is a node's name, or its number.
func label(i int, n *onnxpb.NodeProto) string {
	if n.GetName() != "" {
		return n.GetName()
	}
	return fmt.Sprintf("number %d", i)
}

// fact is what is known of a value.
type fact struct {
	t     DType
	dims  []sum
	value []sum // elements of a small integer tensor; nil where they are not known
}

// rank is the number of dimensions.
func (f *fact) rank() int { return len(f.dims) }

// axis is a dimension's index counted from the front.
func (f *fact) axis(i int64) (int, error) {
	if i < 0 {
		i += int64(f.rank())
	}
	if i < 0 || i >= int64(f.rank()) {
		return 0, fmt.Errorf("axis %d of a value of rank %d", i, f.rank())
	}
	return int(i), nil
}

func (f *fact) valueInfo(name string) *onnxpb.ValueInfoProto {
	dims := make([]Dim, f.rank())
	for i, d := range f.dims {
		dims[i] = d.dim()
	}
	v := ValueInfo(name, f.t, dims...)
	for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
		if d.GetDimValue() < 0 {
			d.Value = nil
		}
	}
	return v
}

// Limits on what is followed: a few hostile nodes could double a shape each.
const (
	maxValue = 64 // elements of an integer tensor, which is a shape
	maxRank  = 64
)

func weightFact(w *Weight) *fact {
	f := &fact{t: w.Type, dims: make([]sum, len(w.Dims))}
	for i, d := range w.Dims {
		f.dims[i] = constant(d)
	}
	width := map[DType]int64{Int64: 8, Int32: 4}[w.Type]
	if width == 0 || w.Data.Size() > maxValue*width {
		return f
	}
	b, err := w.Bytes()
	if err != nil {
		return f // whoever reads the weight will say so
	}
	f.value = []sum{}
	for ; len(b) > 0; b = b[width:] {
		n := int64(int32(binary.LittleEndian.Uint32(b)))
		if width == 8 {
			n = int64(binary.LittleEndian.Uint64(b))
		}
		f.value = append(f.value, constant(n))
	}
	return f
}

type inference struct {
	facts map[string]*fact
	opset int64
	errs  []error
}

// state takes over what a value info says, if it says all.
func (in *inference) state(v *onnxpb.ValueInfoProto) {
	t, dims := TypeOf(v)
	if t == 0 || dims == nil {
		return
	}
	f := &fact{t: t, dims: make([]sum, len(dims))}
	for i, d := range dims {
		f.dims[i] = sumOf(d)
	}
	in.facts[v.GetName()] = f
}

// confirm holds a graph output's statement to what was found.
func (in *inference) confirm(v *onnxpb.ValueInfoProto) error {
	t, dims := TypeOf(v)
	f := in.facts[v.GetName()]
	if f == nil || dims == nil {
		return nil
	}
	if t != f.t || len(dims) != f.rank() {
		return fmt.Errorf("output %q is stated as %s %v, its node makes %s of rank %d", v.GetName(), t, dims, f.t, f.rank())
	}
	for i, d := range dims {
		a, stated := sumOf(d).fixed()
		b, found := f.dims[i].fixed()
		if stated && found && a != b {
			return fmt.Errorf("output %q is stated as %v, its node makes %d at dimension %d", v.GetName(), dims, b, i)
		}
	}
	return nil
}

var errUnknownOp = errors.New("the operator is not known")

// node finds the facts of a node's outputs. Nodes whose inputs are not known
// are passed over: the error that matters is the first one's.
func (in *inference) node(n *onnxpb.NodeProto) error {
	o := &op{NodeProto: n, opset: in.opset}
	rule, known := rules[n.GetOpType()]
	if !known || (n.GetDomain() != "" && n.GetDomain() != "ai.onnx") {
		for _, name := range n.GetOutput() {
			if name != "" && in.facts[name] == nil {
				return errUnknownOp
			}
		}
		return nil // value_info states it
	}
	for _, name := range n.GetInput() {
		f := in.facts[name]
		if f == nil && name != "" {
			return nil
		}
		o.in = append(o.in, f)
	}
	if err := rule(o); err != nil {
		return err
	}
	if len(o.out) < len(n.GetOutput()) {
		return fmt.Errorf("output %q is not known", n.GetOutput()[len(o.out)])
	}
	for i, name := range n.GetOutput() {
		if o.out[i].rank() > maxRank {
			return fmt.Errorf("output %q has %d dimensions", name, o.out[i].rank())
		}
		if len(o.out[i].value) > maxValue {
			o.out[i].value = nil
		}
		in.facts[name] = o.out[i]
	}
	return nil
}

// op is a node with what is known of its inputs.
type op struct {
	*onnxpb.NodeProto
	in    []*fact
	out   []*fact
	opset int64
}

// need is input i, which must be there.
func (o *op) need(i int) (*fact, error) {
	if i >= len(o.in) || o.in[i] == nil {
		return nil, fmt.Errorf("input %d is missing", i)
	}
	return o.in[i], nil
}

// has tells whether the optional input i is there.
func (o *op) has(i int) bool { return i < len(o.in) && o.in[i] != nil }

// make adds an output.
func (o *op) make(t DType, dims []sum) *fact {
	f := &fact{t: t, dims: dims}
	o.out = append(o.out, f)
	return f
}

// constants are the elements of input i, or of the attribute that it once was.
func (o *op) constants(i int, attr string) ([]int64, error) {
	if a := Attr(o.NodeProto, attr); a != nil {
		return a.GetInts(), nil
	}
	f, err := o.need(i)
	if err != nil {
		return nil, err
	}
	if f.value == nil {
		return nil, fmt.Errorf("input %d is not constant", i)
	}
	out := make([]int64, len(f.value))
	for k, v := range f.value {
		n, ok := v.fixed()
		if !ok {
			return nil, fmt.Errorf("input %d is not constant", i)
		}
		out[k] = n
	}
	return out, nil
}
