package contract

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// names says what a tensor is for by how exporters call it; the number, where
// there is one, is the layer. Cache outputs are read after the inputs, since
// "present" and "past" are all that tells them apart.
var names = []struct {
	pattern *regexp.Regexp
	kind    Kind
}{
	{regexp.MustCompile(`^input_ids$`), KindIDs},
	{regexp.MustCompile(`^attention_mask$`), KindMask},
	{regexp.MustCompile(`^position_ids$`), KindPositions},
	{regexp.MustCompile(`^logits$`), KindLogits},
	{regexp.MustCompile(`^past(?:_key_values)?\.(\d+)\.key$`), KindPastKey},
	{regexp.MustCompile(`^past(?:_key_values)?\.(\d+)\.value$`), KindPastValue},
	{regexp.MustCompile(`^present(?:_key_values)?\.(\d+)\.key$`), KindPresentKey},
	{regexp.MustCompile(`^present(?:_key_values)?\.(\d+)\.value$`), KindPresentValue},
}

// layouts are the roles of each kind's dimensions.
var layouts = map[Kind][]Role{
	KindIDs:          {Batch, Seq},
	KindMask:         {Batch, Total},
	KindPositions:    {Batch, Seq},
	KindPastKey:      {Batch, Static, Past, Static},
	KindPastValue:    {Batch, Static, Past, Static},
	KindLogits:       {Batch, Seq, Static},
	KindPresentKey:   {Batch, Static, Total, Static},
	KindPresentValue: {Batch, Static, Total, Static},
}

// The keys of metadata_props under which an export states what shapes cannot.
const (
	metaPositions = "trtforge.n_positions"
	metaLogits    = "trtforge.logits"
)

// Infer reads the contract of a decoder. Everything that contradicts itself or
// could not be inferred is reported at once, by name, as class input.
func Infer(m *onnx.Model) (*Contract, error) {
	c := &Contract{Kind: "contract", SchemaVersion: SchemaVersion, CreatedBy: m.Proto.GetProducerName(), Logits: "all"}
	var errs []error
	add := func(to *[]Tensor, values []*onnxpb.ValueInfoProto) {
		for _, v := range values {
			if m.Weight(v.GetName()) != nil {
				continue // old graphs list initializers as inputs
			}
			t, err := read(v)
			errs = append(errs, err)
			*to = append(*to, t)
		}
	}
	add(&c.Inputs, m.Graph().GetInput())
	add(&c.Outputs, m.Graph().GetOutput())
	for _, p := range m.Proto.GetMetadataProps() {
		switch p.GetKey() {
		case metaPositions:
			n, err := strconv.Atoi(p.GetValue())
			if err != nil || n < 1 {
				errs = append(errs, fmt.Errorf("metadata %s = %q is not a number of positions", metaPositions, p.GetValue()))
			}
			c.MaxPositions = n
		case metaLogits:
			c.Logits = p.GetValue()
		}
	}
	errs = append(errs, c.lastLogits(), c.facts(), c.symbols())
	if err := errors.Join(errs...); err != nil {
		return nil, fault.Wrap(fault.Input, "inferring the contract of", m.Graph().GetName(), err,
			"name inputs and dimensions as optimum does, or say what they are")
	}
	return c, nil
}

// read gives a tensor its kind by name and its roles by kind.
func read(v *onnxpb.ValueInfoProto) (Tensor, error) {
	typ, dims := onnx.TypeOf(v)
	t := Tensor{Name: v.GetName(), Kind: KindOther, Type: typ.String()}
	for _, n := range names {
		if found := n.pattern.FindStringSubmatch(t.Name); found != nil {
			t.Kind = n.kind
			if len(found) > 1 {
				layer, err := strconv.Atoi(found[1])
				if err != nil {
					return t, fmt.Errorf("%s: layer %s is not a number", t.Name, found[1])
				}
				t.Layer = layer
			}
		}
	}
	if t.Kind == KindOther {
		return t, fmt.Errorf("%s: what is it for?", t.Name)
	}
	roles := layouts[t.Kind]
	if len(dims) != len(roles) {
		return t, fmt.Errorf("%s: %d dimensions, %s has %d", t.Name, len(dims), t.Kind, len(roles))
	}
	for i, d := range dims {
		dim := Dim{Role: roles[i], Symbol: d.Symbol}
		if d.Symbol == "" && d.Size >= 0 {
			dim = Dim{Role: Static, Size: d.Size}
		} else if roles[i] == Static {
			return t, fmt.Errorf("%s: dimension %d is %s, want a fixed size", t.Name, i, d)
		}
		t.Dims = append(t.Dims, dim)
	}
	return t, nil
}

// lastLogits sees that logits of one position and of all agree with what the
// graph says of itself.
func (c *Contract) lastLogits() error {
	if c.Logits != "all" && c.Logits != "last" {
		return fmt.Errorf("metadata %s = %q: want all or last", metaLogits, c.Logits)
	}
	for _, t := range c.Outputs {
		if t.Kind == KindLogits && len(t.Dims) == 3 && t.Dims[1].Role == Static && t.Dims[1].Size == 1 {
			c.Logits = "last"
		}
	}
	return nil
}

// facts fills in layers, heads, head size and vocabulary, and sees that every
// layer has its four cache tensors, all alike.
func (c *Contract) facts() error {
	var errs []error
	count := map[Kind]int{}
	seen := map[string]bool{}
	for _, t := range append(append([]Tensor{}, c.Inputs...), c.Outputs...) {
		count[t.Kind]++
		id := fmt.Sprint(t.Kind, " ", t.Layer)
		if seen[id] {
			errs = append(errs, fmt.Errorf("%s: there are two of %s", t.Name, id))
		}
		seen[id] = true
		if len(t.Dims) == 3 && t.Kind == KindLogits {
			c.Vocab = int(t.Dims[2].Size)
		}
		if len(t.Dims) == 4 {
			heads, size := int(t.Dims[1].Size), int(t.Dims[3].Size)
			if c.Heads == 0 {
				c.Heads, c.HeadDim = heads, size
			} else if heads != c.Heads || size != c.HeadDim {
				errs = append(errs, fmt.Errorf("%s: %d heads of %d, the others have %d of %d", t.Name, heads, size, c.Heads, c.HeadDim))
			}
			c.Layers = max(c.Layers, t.Layer+1)
		}
	}
	for _, k := range []Kind{KindIDs, KindLogits} {
		if count[k] != 1 {
			errs = append(errs, fmt.Errorf("%d tensors of kind %s, want one", count[k], k))
		}
	}
	for _, k := range []Kind{KindPastKey, KindPastValue, KindPresentKey, KindPresentValue} {
		if count[k] != c.Layers {
			errs = append(errs, fmt.Errorf("%d tensors of kind %s for %d layers", count[k], k, c.Layers))
		}
	}
	return errors.Join(errs...)
}

// symbols sees that one symbol always stands for one role: a name that the
// exporter gave to both batch and sequence contradicts the graph.
func (c *Contract) symbols() error {
	roles := map[string]Role{}
	var errs []error
	for _, t := range append(append([]Tensor{}, c.Inputs...), c.Outputs...) {
		for i, d := range t.Dims {
			if d.Symbol == "" || strings.ContainsAny(d.Symbol, " +-") {
				continue
			}
			if r, known := roles[d.Symbol]; known && r != d.Role {
				errs = append(errs, fmt.Errorf("%s: dimension %d is called %q, which elsewhere is %s, not %s", t.Name, i, d.Symbol, r, d.Role))
			}
			roles[d.Symbol] = d.Role
		}
	}
	return errors.Join(errs...)
}
