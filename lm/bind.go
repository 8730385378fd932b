package lm

import (
	"errors"
	"fmt"
	"sort"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Prepare binds a prefill of promptLen columns and the steps that give newTokens
// tokens after it: newTokens-1, since the prefill gives the first. Bindings of
// another prompt length are freed. Lengths beyond the capacity are an error of
// class usage.
func (d *Decoder) Prepare(promptLen, newTokens int) error {
	if promptLen < 1 || newTokens < 1 || promptLen+newTokens-1 > d.o.Capacity {
		return fault.New(fault.Usage, "preparing", fmt.Sprintf("%d prompt and %d new tokens", promptLen, newTokens),
			fmt.Sprintf("a decoder of capacity %d takes a prompt of at least 1 and, but for the last new token, all of them", d.o.Capacity),
			"shorten the scenario")
	}
	if d.prefill == nil || d.prompt != promptLen {
		if err := d.bindPrefill(promptLen); err != nil {
			return err
		}
	}
	for len(d.steps) < newTokens-1 {
		if err := d.bindStep(); err != nil {
			return err
		}
	}
	return nil
}

// bindPrefill replaces all bindings with one of a prefill of that length.
func (d *Decoder) bindPrefill(promptLen int) error {
	if err := d.unbind(); err != nil {
		return err
	}
	d.Reset()
	b, err := d.bind(&d.first, promptLen, 0, &d.cache[1], &d.cache[0])
	if err != nil {
		return fmt.Errorf("binding prefill of %d x %d: %w", d.o.Batch, promptLen, err)
	}
	d.prefill, d.prompt = b, promptLen
	return nil
}

// bindStep binds one more step.
func (d *Decoder) bindStep() error {
	k := len(d.steps)
	b, err := d.bind(&d.next, 1, d.prompt+k, &d.cache[k%2], &d.cache[(k+1)%2])
	if err != nil {
		return fmt.Errorf("binding step %d of batch %d: %w", k+1, d.o.Batch, err)
	}
	d.steps = append(d.steps, b)
	return nil
}

// bind binds a run of seq new columns after past ones that reads one set of
// caches and writes the other.
func (d *Decoder) bind(a *answer, seq, past int, read, write *caches) (Bound, error) {
	var in, out []onnx.Tensor
	var errs []error
	add := func(to *[]onnx.Tensor, t contract.Tensor, buffer []byte) {
		v, err := d.view(t, buffer, seq, past)
		*to, errs = append(*to, v), append(errs, err)
	}
	for _, t := range d.c.Inputs {
		switch t.Kind {
		case contract.KindIDs:
			add(&in, t, d.ids.bytes)
		case contract.KindMask:
			add(&in, t, d.mask.bytes)
		case contract.KindPositions:
			add(&in, t, d.positions.bytes)
		}
	}
	for i, t := range d.tensors(d.c.Inputs, isPast) {
		add(&in, t, read.buffers[i])
	}
	for _, t := range d.c.Outputs {
		if t.Kind == contract.KindLogits {
			shape := d.c.Shape(t, int64(d.o.Batch), int64(seq), int64(past))
			errs = append(errs, a.size(t, shape, d.o.Batch))
			add(&out, t, a.bytes)
		}
	}
	for i, t := range d.tensors(d.c.Outputs, isPresent) {
		add(&out, t, write.buffers[i])
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return d.session.Bind(in, out)
}

// view is tensor t of a run of seq columns after past ones, over the dense
// beginning of buffer; a nil buffer gives the shape alone.
func (d *Decoder) view(t contract.Tensor, buffer []byte, seq, past int) (onnx.Tensor, error) {
	typ, err := dtype(t.Type)
	if err != nil {
		return onnx.Tensor{}, fmt.Errorf("%s: %w", t.Name, err)
	}
	v := onnx.Tensor{Name: t.Name, Type: typ, Dims: d.c.Shape(t, int64(d.o.Batch), int64(seq), int64(past))}
	if buffer == nil {
		return v, nil
	}
	size, err := typ.Bytes(v.Dims)
	if err != nil {
		return onnx.Tensor{}, fmt.Errorf("%s: %w", t.Name, err)
	}
	if size > int64(len(buffer)) {
		return onnx.Tensor{}, fmt.Errorf("%s: shape %v takes %d bytes, its buffer has %d", t.Name, v.Dims, size, len(buffer))
	}
	v.Bytes = buffer[:size]
	return v, nil
}

// unbind frees every binding.
func (d *Decoder) unbind() error {
	var errs []error
	for _, b := range append(d.steps, d.prefill) {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	d.prefill, d.steps = nil, nil
	return errors.Join(errs...)
}

// byLayer orders tensors by their layer.
func byLayer(all []contract.Tensor) {
	sort.SliceStable(all, func(i, j int) bool { return all[i].Layer < all[j].Layer })
}
