package calib

import (
	"errors"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Collector keeps one histogram a tensor. It is not safe for concurrent use;
// collectors of several jobs are merged.
type Collector struct {
	Tensors map[string]*Histogram
	Samples int   // windows that were run
	Tokens  int64 // tokens that were run, decode steps included
}

// NewCollector observes the given tensors.
func NewCollector(observe []string) *Collector {
	c := &Collector{Tensors: map[string]*Histogram{}}
	for _, name := range observe {
		c.Tensors[name] = &Histogram{}
	}
	return c
}

// Observe counts the values of those tensors that are observed and passes over
// the others. NaN or an infinity is an error of class input that names the
// tensor.
func (c *Collector) Observe(tensors []onnx.Tensor) error {
	for _, t := range tensors {
		if h := c.Tensors[t.Name]; h != nil {
			if err := h.AddTensor(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// Merge adds what another collector saw.
func (c *Collector) Merge(o *Collector) {
	for name, h := range o.Tensors {
		if c.Tensors[name] == nil {
			c.Tensors[name] = &Histogram{}
		}
		c.Tensors[name].Merge(h)
	}
	c.Samples += o.Samples
	c.Tokens += o.Tokens
}

// Table applies the method to every tensor. The caller states which model and
// text it belongs to. Tensors that were never run are an error that names all.
func (c *Collector) Table(m Method) (*Table, error) {
	t := &Table{Kind: tableKind, SchemaVersion: SchemaVersion, Method: m.String(),
		Samples: c.Samples, Tokens: c.Tokens, Ranges: map[string]Range{}}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Tensors)) {
		h := c.Tensors[name]
		if h.Count == 0 {
			errs = append(errs, fault.New(fault.Input, "calibrating tensor", name, "it never had a value", "run at least one sample"))
			continue
		}
		amax, err := m.Amax(h)
		if err != nil {
			return nil, err
		}
		t.Ranges[name] = Range{Lo: h.Min, Hi: h.Max, Amax: amax}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}
