package contract

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/onnx/shape"
)

// The keys of metadata_props under which an export states what shapes cannot.
const (
	metaPositions = "trtforge.n_positions"
	metaLogits    = "trtforge.logits"
)

// MetaKVScale is the key of metadata_props under which a graph states that the
// values of its cache are rescaled by channel: a digest of the factors.
const MetaKVScale = "trtforge.kv_scale"

// The two answers to which positions logits are given for.
const (
	logitsAll  = "all"
	logitsLast = "last"
)

// Infer reads the contract of a graph; what is bound holds against everything
// else. Everything that contradicts itself or could not be inferred is reported
// at once, by name, as class input; a binding that fits no input is of class
// usage.
//
// Time and memory are linear in the graph.
func Infer(m *onnx.Model, bound ...Binding) (*Contract, error) {
	r := &reader{m: m, flow: newFlow(m), binds: map[string]map[int]Binding{}, asked: map[string]bool{}, doubted: map[string]bool{},
		c: &Contract{Kind: "contract", SchemaVersion: SchemaVersion, CreatedBy: m.Proto.GetProducerName()}}
	r.c.Inputs = r.tensors(r.flow.inputs)
	r.c.Outputs = r.tensors(m.Graph().GetOutput())
	if err := r.bind(bound); err != nil {
		return nil, err
	}
	r.kinds()
	r.measure()
	r.roles()
	r.count()
	r.logits()
	r.positions()
	r.buffer()
	r.c.KVScale, _ = r.meta(MetaKVScale)
	if err := errors.Join(r.wrong...); err != nil {
		return nil, fault.Wrap(fault.Input, "inferring the contract of", m.Graph().GetName(), err, r.fix())
	}
	return r.c, nil
}

// reader collects a contract and everything that is wrong with it.
type reader struct {
	m     *onnx.Model
	flow  *flow
	c     *Contract
	binds map[string]map[int]Binding

	decoder bool    // the graph gives logits for ids, or has a cache
	cached  bool    // it takes past keys and values
	static  bool    // and is told where to write the new ones
	shared  bool    // past and present are one buffer
	undone  bool    // or may be: neither names nor nodes say
	cache   *Tensor // the first cache tensor, which all others are like

	sizes  map[Role]shape.Size // of the roles, in the trace's symbols
	names  map[Role]string     // of the inputs' dimensions
	named  map[string]Role
	holder map[Role]string // the input that has the name

	wrong   []error
	asked   map[string]bool // dimensions that a binding would settle
	doubted map[string]bool // dimensions of outputs
	more    int             // things that are wrong beyond maxWrong
}

// maxWrong bounds a report: a graph of 10,000 inputs has as much to ask for.
const maxWrong = 64

func (r *reader) bad(format string, args ...any) {
	if len(r.wrong) < maxWrong {
		r.wrong = append(r.wrong, fmt.Errorf(format, args...))
	} else if r.more++; r.more == 1 {
		r.wrong = append(r.wrong, errors.New("and more of the kind"))
	}
}

// ask reports a dimension that is not known, or known to be two things, with the
// binding that would settle it.
func (r *reader) ask(t *Tensor, i int, answer string, format string, args ...any) {
	bind := fmt.Sprintf("%s:%d", t.Name, i)
	if r.asked[bind] {
		return
	}
	r.asked[bind] = true
	r.bad("%s: dimension %d %s: --bind %s=%s", t.Name, i, fmt.Sprintf(format, args...), bind, answer)
}

func (r *reader) fix() string {
	if len(r.asked) > 0 {
		return "give a --bind for each dimension that is asked for, or the same under [inputs] in the pipeline"
	}
	return "name inputs and dimensions as optimum does, or export the model again"
}

// tensors are inputs or outputs, of no kind yet.
func (r *reader) tensors(values []*onnxpb.ValueInfoProto) []Tensor {
	all := []Tensor{}
	for _, v := range values {
		typ, dims := onnx.TypeOf(v)
		t := Tensor{Name: v.GetName(), Type: typ.String(), Kind: KindOther}
		for i, d := range dims {
			dim := Dim{Symbol: d.Symbol}
			if d.Symbol == "" && d.Size >= 0 {
				dim.Size, dim.Role = d.Size, Static
				if d.Size == 0 {
					r.bad("%s: dimension %d is fixed at 0, so the tensor is always empty", t.Name, i)
				}
			}
			t.Dims = append(t.Dims, dim)
		}
		if typ != 0 && dims == nil && v.GetType().GetTensorType() != nil {
			r.unranked(&t)
		}
		all = append(all, t)
	}
	return all
}

// unranked takes a shape that the file does not state from the nodes.
func (r *reader) unranked(t *Tensor) {
	sizes := r.flow.trace.Dims(t.Name)
	if sizes == nil {
		r.bad("%s: the file does not say how many dimensions it has", t.Name)
	}
	for _, s := range sizes {
		d := Dim{}
		if n, ok := s.Value(); ok {
			d.Size, d.Role = n, Static
		}
		t.Dims = append(t.Dims, d)
	}
}

// bind sorts the bindings by input and refuses those that fit none.
func (r *reader) bind(all Bindings) error {
	var errs []error
	for _, b := range all {
		bad := func(format string, args ...any) {
			errs = append(errs, fault.New(fault.Usage, "binding", b.Where, fmt.Sprintf(format, args...), "the inputs are "+r.list()))
		}
		t := r.c.input(b.Input)
		switch {
		case t == nil:
			bad("the graph has no input %q", b.Input)
			continue
		case b.Value:
			if err := t.bindValue(b); err != nil {
				bad("%v", err)
			}
			continue
		case b.Dim < 0 || b.Dim >= len(t.Dims):
			bad("%s has %d dimensions, counted from 0", b.Input, len(t.Dims))
			continue
		}
		d := t.Dims[b.Dim]
		switch {
		case d.Size > 0 && b.Size > 0 && b.Size != d.Size, d.Size > 0 && b.Limits != nil && (b.Limits.Min != d.Size || b.Limits.Max != d.Size):
			bad("the graph fixes dimension %d of %s at %d", b.Dim, b.Input, d.Size)
			continue
		case b.Role == Static && b.Size == 0 && d.Size == 0 && !r.sized(b):
			bad("static needs a size, since the graph leaves dimension %d of %s open: give the number", b.Dim, b.Input)
			continue
		}
		if r.binds[b.Input] == nil {
			r.binds[b.Input] = map[int]Binding{}
		}
		r.binds[b.Input][b.Dim] = b
	}
	for _, t := range r.c.Inputs {
		for i, v := range t.Values {
			if v.Role == "" {
				errs = append(errs, fault.New(fault.Usage, "binding", t.Name, fmt.Sprintf("element %d of its values is not bound", i), fmt.Sprintf("add --bind %s:values.%d=WHAT", t.Name, i)))
			}
		}
	}
	return errors.Join(errs...)
}

// MaxValues is the largest shape tensor that TensorRT takes (NvInferRuntime.h,
// setShapeValues).
const MaxValues = 64

// bindValue says what an element of a shape tensor is.
func (t *Tensor) bindValue(b Binding) error {
	n := int64(1)
	for _, d := range t.Dims {
		n *= d.Size
	}
	switch {
	case t.Type != "int32" && t.Type != "int64":
		return fmt.Errorf("%s is %s, and only int32 and int64 tensors decide shapes", t.Name, t.Type)
	case len(t.Dims) > 1 || n < 1 || n > MaxValues:
		return fmt.Errorf("%s is no shape tensor: it must have one fixed dimension of up to %d, or none", t.Name, MaxValues)
	case int64(b.Dim) >= n:
		return fmt.Errorf("%s holds %d values, counted from 0", t.Name, n)
	case b.Role == Static && b.Size == 0:
		return fmt.Errorf("static needs a number: give it")
	}
	if t.Values == nil {
		t.Values = make([]Dim, n)
	}
	d := Dim{Role: b.Role, Size: b.Size, Limits: b.Limits, Source: Bound}
	if d.Role == "" {
		d.Role = Static
	}
	t.Values[b.Dim] = d
	return nil
}

// sized tells whether the nodes fix a dimension that the file leaves open.
func (r *reader) sized(b Binding) bool {
	_, ok := r.forced(b.Input, b.Dim)
	return ok
}

// list is the first inputs with their shapes.
func (r *reader) list() string {
	text := ""
	for i, t := range r.c.Inputs {
		if i == 8 {
			return text + fmt.Sprintf(" and %d more", len(r.c.Inputs)-i)
		}
		if i > 0 {
			text += ", "
		}
		text += t.Name
	}
	return text
}

func (c *Contract) input(name string) *Tensor {
	for i := range c.Inputs {
		if c.Inputs[i].Name == name {
			return &c.Inputs[i]
		}
	}
	return nil
}

func join(errs []error) error { return errors.Join(errs...) }

func described(d Dim) string {
	if d.Symbol == "" {
		return "has no name"
	}
	return "is called " + strconv.Quote(d.Symbol)
}

// all visits inputs, then outputs.
func (r *reader) all(visit func(t *Tensor, input bool)) {
	for i := range r.c.Inputs {
		visit(&r.c.Inputs[i], true)
	}
	for i := range r.c.Outputs {
		visit(&r.c.Outputs[i], false)
	}
}

func (r *reader) meta(key string) (value string, ok bool) {
	for _, p := range r.m.Proto.GetMetadataProps() {
		if p.GetKey() == key {
			return p.GetValue(), true
		}
	}
	return "", false
}
