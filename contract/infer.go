package contract

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// The keys of metadata_props under which an export states what shapes cannot.
const (
	metaPositions = "trtforge.n_positions"
	metaLogits    = "trtforge.logits"
)

// The two answers to which positions logits are given for.
const (
	logitsAll  = "all"
	logitsLast = "last"
)

// Infer reads the contract of a decoder. Everything that contradicts itself or
// could not be inferred is reported at once, by name, as class input.
func Infer(m *onnx.Model) (*Contract, error) {
	r := &reader{m: m, c: &Contract{Kind: "contract", SchemaVersion: SchemaVersion, CreatedBy: m.Proto.GetProducerName()}}
	r.cached = takesCache(m.Graph().GetInput())
	r.static = takesPosition(m.Graph().GetInput())
	r.c.Inputs = r.tensors(m.Graph().GetInput(), true)
	r.c.Outputs = r.tensors(m.Graph().GetOutput(), false)
	r.count()
	r.symbols()
	r.logits()
	r.buffer()
	r.positions()
	if err := errors.Join(r.wrong...); err != nil {
		return nil, fault.Wrap(fault.Input, "inferring the contract of", m.Graph().GetName(), err,
			"name inputs and dimensions as optimum does, or say what they are")
	}
	return r.c, nil
}

// reader collects a contract and everything that is wrong with it.
type reader struct {
	m      *onnx.Model
	c      *Contract
	cached bool    // the graph takes past keys and values
	static bool    // and is told where to write the new ones
	cache  *Tensor // the first cache tensor, which all others are like
	wrong  []error
}

func (r *reader) bad(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Errorf(format, args...))
}

// tensors reads the inputs or the outputs. Old graphs list initializers among
// their inputs; those are passed over.
func (r *reader) tensors(values []*onnxpb.ValueInfoProto, input bool) []Tensor {
	all := []Tensor{}
	for _, v := range values {
		if r.m.Weight(v.GetName()) == nil {
			all = append(all, r.tensor(v, input))
		}
	}
	return all
}

// tensor gives a tensor its kind by name and its roles by kind. What it cannot
// tell stays without dimensions.
func (r *reader) tensor(v *onnxpb.ValueInfoProto, input bool) Tensor {
	typ, dims := onnx.TypeOf(v)
	t := Tensor{Name: v.GetName(), Type: typ.String()}
	t.Kind, t.Layer = kindOf(t.Name, naming[input])
	if t.Kind == KindOther {
		r.other(&t, dims, input)
		return t
	}
	if !allowed(t.Kind, typ) {
		r.bad("%s: its type is %s, which %s never has", t.Name, typ, t.Kind)
	}
	roles := layout(t.Kind, r.cached, dims)
	if r.static {
		roles = staticLayout(t.Kind, roles)
	}
	if len(dims) != len(roles) {
		r.bad("%s: it has %d dimensions, %s has %d", t.Name, len(dims), t.Kind, len(roles))
		return t
	}
	for i, d := range dims {
		dim := Dim{Role: roles[i], Symbol: d.Symbol}
		switch fixed := d.Symbol == "" && d.Size >= 0; {
		case fixed && d.Size == 0:
			r.bad("%s: dimension %d is fixed at 0, so the tensor is always empty", t.Name, i)
		case fixed:
			dim.Size = d.Size
		case roles[i] == Static:
			r.bad("%s: dimension %d is %s, want a fixed size", t.Name, i, described(d))
		}
		t.Dims = append(t.Dims, dim)
	}
	return t
}

// other is a tensor of unknown name. An input is harmless where its size is
// fixed, as of a flag; outputs get the roles of their symbols in symbols().
func (r *reader) other(t *Tensor, dims []onnx.Dim, input bool) {
	for i, d := range dims {
		dim := Dim{Role: Static, Symbol: d.Symbol}
		if d.Symbol == "" {
			dim.Size = d.Size
		}
		if input && (d.Symbol != "" || d.Size < 0) {
			r.bad("%s: what is it for? Its dimension %d is %s, and no input of a decoder has its name", t.Name, i, described(d))
		}
		t.Dims = append(t.Dims, dim)
	}
}

func described(d onnx.Dim) string {
	if d.Symbol == "" {
		return "unnamed"
	}
	return strconv.Quote(d.Symbol)
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

// logits decides whether logits come for all positions or the last: by the
// size of their middle dimension, which metadata may only confirm, or decide
// where that dimension is unnamed.
func (r *reader) logits() {
	said, stated := r.meta(metaLogits)
	if stated && said != logitsAll && said != logitsLast {
		r.bad("metadata %s is %q, want all or last", metaLogits, said)
		return
	}
	for _, t := range r.c.Outputs {
		if t.Kind != KindLogits || len(t.Dims) != 3 {
			continue
		}
		switch d := t.Dims[1]; {
		case d.Role == Static && d.Size == 1:
			r.c.Logits = logitsLast
		case d.Symbol != "" || d.Size > 0:
			r.c.Logits = logitsAll
		case stated:
			r.c.Logits = said
		default:
			r.bad("%s: dimension 1 has no name: is it one position, or all of them? State %s in the metadata", t.Name, metaLogits)
		}
		if stated && r.c.Logits != "" && said != r.c.Logits {
			r.bad("%s: metadata says logits of %s, its shape says %s", t.Name, said, r.c.Logits)
		}
		r.c.Vocab = int(t.Dims[2].Size)
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
