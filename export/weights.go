package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

const (
	embedName = prefix + "wte.weight"
	headName  = "lm_head.weight"

	// maxListed is how many faults of one kind of input are worth reading.
	maxListed = 20
)

// parameter is a tensor that a config implies.
type parameter struct {
	name string
	dims []int64
}

// parameters are all tensors of a model, in the order in which a graph uses
// them. Projections are stored [in, out] (transformers' Conv1D).
func (c *config) parameters() []parameter {
	w, inner := c.Width, c.inner()
	list := []parameter{{embedName, []int64{c.Vocab, w}}, {prefix + "wpe.weight", []int64{c.Positions, w}}}
	for i := range c.Layers {
		for _, p := range []parameter{
			{"ln_1.weight", []int64{w}}, {"ln_1.bias", []int64{w}},
			{"attn.c_attn.weight", []int64{w, 3 * w}}, {"attn.c_attn.bias", []int64{3 * w}},
			{"attn.c_proj.weight", []int64{w, w}}, {"attn.c_proj.bias", []int64{w}},
			{"ln_2.weight", []int64{w}}, {"ln_2.bias", []int64{w}},
			{"mlp.c_fc.weight", []int64{w, inner}}, {"mlp.c_fc.bias", []int64{inner}},
			{"mlp.c_proj.weight", []int64{inner, w}}, {"mlp.c_proj.bias", []int64{w}},
		} {
			list = append(list, parameter{fmt.Sprintf("%sh.%d.%s", prefix, i, p.name), p.dims})
		}
	}
	list = append(list, parameter{prefix + "ln_f.weight", []int64{w}}, parameter{prefix + "ln_f.bias", []int64{w}})
	if !c.Tied {
		list = append(list, parameter{headName, []int64{c.Vocab, w}})
	}
	return list
}

// check compares the checkpoint with what the config implies and reports every
// difference: a tensor missing, of another shape or type, or left over.
func (c *checkpoint) check(cfg *config) error {
	var errs []error
	expected := map[string]bool{}
	for _, p := range cfg.parameters() {
		expected[p.name] = true
		errs = append(errs, c.checkOne(p)...)
	}
	for _, name := range sortedKeys(c.tensors) {
		switch {
		case expected[name]:
		case name == headName:
			errs = append(errs, c.checkTied()...)
		default:
			errs = append(errs, fmt.Errorf("tensor %s has no place in the model that config.json describes", name))
		}
	}
	if more := len(errs) - maxListed; more > 0 {
		errs = append(errs[:maxListed], fmt.Errorf("and %d more", more))
	}
	return fault.Wrap(fault.Input, "reading", c.dir, errors.Join(errs...),
		"check that the checkpoint is complete and belongs to its config.json")
}

func (c *checkpoint) checkOne(p parameter) (errs []error) {
	t, ok := c.tensors[p.name]
	if !ok {
		return []error{fmt.Errorf("tensor %s is missing", p.name)}
	}
	if !slices.Equal(t.info.Shape, p.dims) {
		errs = append(errs, fmt.Errorf("tensor %s has shape %v, config.json implies %v", p.name, t.info.Shape, p.dims))
	}
	if _, ok := elementType(t.info.Type); !ok {
		errs = append(errs, fmt.Errorf("tensor %s is of type %s, only F32, F16 and BF16 are supported", p.name, t.info.Type))
	}
	return errs
}

// checkTied compares a head that is stored although it is tied with the
// embeddings: to use one of two that differ would be to guess.
func (c *checkpoint) checkTied() []error {
	head, embed := c.tensors[headName], c.tensors[embedName]
	if embed.file != nil && head.info.Type == embed.info.Type && slices.Equal(head.info.Shape, embed.info.Shape) {
		same, err := equal(head.section(), embed.section())
		if err != nil {
			return []error{err}
		}
		if same {
			return nil
		}
	}
	return []error{fmt.Errorf("tie_word_embeddings is set, but %s and %s differ", headName, embedName)}
}

func (s stored) section() io.Reader {
	return io.NewSectionReader(s.file, s.info.Offset, s.info.Length)
}

// equal compares two streams of the same length.
func equal(a, b io.Reader) (bool, error) {
	x, y := make([]byte, chunk), make([]byte, chunk)
	for {
		n, err := io.ReadFull(a, x)
		m, errB := io.ReadFull(b, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return true, nil
		}
		if err := errors.Join(err, errB); err != nil {
			return false, err
		}
	}
}

// weight is the tensor as a float32 weight that is checked and converted while
// it is read. check has passed.
func (c *checkpoint) weight(p parameter) (*onnx.Weight, error) {
	t := c.tensors[p.name]
	dtype, _ := elementType(t.info.Type)
	w := &onnx.Weight{Name: p.name, Type: dtype, Dims: p.dims, Data: finite(c.dir, p.name, dtype, t)}
	return w.Convert(onnx.Float32)
}
