//go:build cgo

package ort

import (
	"errors"
	"fmt"
	"runtime"

	ortgo "github.com/yalue/onnxruntime_go"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// bound is a run whose inputs and outputs lie in the caller's memory.
type bound struct {
	session *Session
	binding *ortgo.IoBinding
	pins    runtime.Pinner // ONNX Runtime keeps the addresses beyond the call
	driven  *driven        // nil where onnxruntime_go's own way of running does
}

// Bind prepares a run that reads in and writes out where they are, until the
// Bound is closed: a change of the inputs' bytes between two runs is seen by
// the next. Every input must be there; outputs that are not named are not
// answered. An output's shape must be exactly what the run produces. Names,
// types and sizes that do not fit the model are all reported, as fault.Usage.
func (s *Session) Bind(in, out []onnx.Tensor) (Bound, error) {
	return s.chosen(in).bind(in, out, s.device)
}

// bind binds tensors, some of which may lie on the device.
func (s *Session) bind(in, out []onnx.Tensor, on *device) (Bound, error) {
	feeds, err := s.feeds(in)
	if err != nil {
		return nil, err
	}
	if _, err := find("output", out, s.out); err != nil {
		return nil, unfit(s.path, err)
	}
	binding, err := s.s.CreateIoBinding()
	if err != nil {
		return nil, fault.Wrap(fault.Runtime, "binding", s.path, err, "")
	}
	b := &bound{session: s, binding: binding}
	s.bounds[b] = true
	var errs []error
	for _, i := range s.in {
		errs = append(errs, b.add(feeds[i.Name], on, false))
	}
	for _, t := range out {
		errs = append(errs, b.add(t, on, true))
	}
	if on != nil || s.options != nil {
		d, err := s.drive(binding)
		b.driven = &d
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Runtime, "binding", s.path, err, ""), b.Close())
	}
	return b, nil
}

// add pins a tensor's bytes and binds them. The binding shares the value, so
// our end of it is freed at once.
func (b *bound) add(t onnx.Tensor, on *device, output bool) error {
	if at := on.at(t.Bytes); at != nil {
		return on.bind(b.binding, t, at, output)
	}
	v, err := wrap(t, &b.pins)
	if err != nil {
		return err
	}
	bind := b.binding.BindInput
	if output {
		bind = b.binding.BindOutput
	}
	return errors.Join(bind(t.Name, v), v.Destroy())
}

// Run runs once. It allocates nothing in Go.
func (b *bound) Run() error {
	if b.binding == nil {
		return fmt.Errorf("running %s: the binding is closed", b.session.path)
	}
	var err error
	if b.driven != nil {
		err = b.driven.run()
	} else {
		err = b.session.s.RunWithBinding(b.binding)
	}
	if err != nil {
		return fault.Wrap(fault.Runtime, "running", b.session.path, err, "")
	}
	return nil
}

// Close frees the binding; the caller's memory is its own again.
func (b *bound) Close() error {
	if b.binding == nil {
		return nil
	}
	err := b.binding.Destroy()
	b.binding = nil
	b.pins.Unpin()
	delete(b.session.bounds, b)
	return err
}

// wrap makes a value over the tensor's bytes, which stay pinned until pins are
// released. A tensor without elements needs an address all the same.
func wrap(t onnx.Tensor, pins *runtime.Pinner) (*ortgo.CustomDataTensor, error) {
	if len(t.Dims) == 0 {
		return nil, fmt.Errorf("tensor %q is a scalar, which cannot be fed or bound", t.Name)
	}
	data := t.Bytes
	if len(data) == 0 {
		data = make([]byte, 16)
	}
	pins.Pin(&data[0])
	v, err := ortgo.NewCustomDataTensor(t.Dims, data, ortgo.TensorElementDataType(t.Type))
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	return v, nil
}

// feeds matches in with the model's inputs, none of which may be missing.
func (s *Session) feeds(in []onnx.Tensor) (map[string]onnx.Tensor, error) {
	if s.s == nil {
		return nil, fmt.Errorf("feeding %s: the session is closed", s.path)
	}
	feeds, err := find("input", in, s.in)
	errs := []error{err}
	for _, i := range s.in {
		if _, ok := feeds[i.Name]; !ok {
			errs = append(errs, fmt.Errorf("input %q is missing", i.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, unfit(s.path, err)
	}
	return feeds, nil
}

func unfit(path string, err error) error {
	return fault.Wrap(fault.Usage, "feeding", path, err, "feed what the model declares")
}
