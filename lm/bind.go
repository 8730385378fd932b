package lm

import (
	"errors"
	"fmt"
	"slices"
	"sort"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Prepare binds a prefill of promptLen columns and the steps that give newTokens
// tokens after it: newTokens-1, since the prefill gives the first. With buckets
// the prefill is as long as the prompt's. Bindings of another prompt length are
// freed, except that a static cache keeps those of every bucket, and two steps
// do for all lengths. Lengths beyond the capacity or the largest bucket are an
// error of class usage.
func (d *Decoder) Prepare(promptLen, newTokens int) error {
	if d.whole != nil {
		return d.prepareWhole(promptLen, newTokens)
	}
	if err := d.prepareHead(promptLen, newTokens); err != nil {
		return err
	}
	if err := d.cutPieces(0); err != nil {
		return err
	}
	return d.bindSteps(newTokens - 1)
}

// prepareHead binds a prefill of promptLen columns; newTokens is only checked.
func (d *Decoder) prepareHead(promptLen, newTokens int) error {
	width := d.bucket(promptLen)
	if promptLen < 1 || newTokens < 1 || width == 0 || width+newTokens-1 > d.o.Capacity {
		return d.tooLong(promptLen, newTokens, width)
	}
	return d.bindPrefill(width)
}

// bindSteps binds what n steps run on.
func (d *Decoder) bindSteps(n int) error {
	for len(d.steps) < d.needed(n) {
		if err := d.bindStep(); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) tooLong(promptLen, newTokens, width int) error {
	cause := fmt.Sprintf("a decoder of capacity %d takes a prompt of at least 1 and, but for the last new token, all of them", d.o.Capacity)
	if width != promptLen {
		cause += fmt.Sprintf("; prompts are padded to one of %v", d.o.Buckets)
	}
	return fault.New(fault.Usage, "preparing", fmt.Sprintf("%d prompt and %d new tokens", promptLen, newTokens), cause, "shorten the scenario")
}

// bucket is the length that a prompt is padded to; 0 where it is longer than all.
func (d *Decoder) bucket(promptLen int) int {
	if len(d.o.Buckets) == 0 {
		return promptLen
	}
	for _, n := range d.o.Buckets {
		if n >= promptLen {
			return n
		}
	}
	return 0
}

// needed is how many bindings n steps run on.
func (d *Decoder) needed(n int) int {
	switch {
	case d.static == nil || n == 0:
		return n
	case len(d.pieces)%2 == 1: // the first step is the second binding
		return len(d.cache)
	}
	return min(n, len(d.cache))
}

// bindPrefill makes a prefill of that length the present one.
func (d *Decoder) bindPrefill(width int) error {
	if d.prefill != nil && d.prefill.width == width {
		return nil
	}
	if err := d.leave(); err != nil {
		return err
	}
	d.Reset()
	for i, p := range d.others {
		if p.width == width {
			d.prefill, d.others = p, slices.Delete(d.others, i, i+1)
			return nil
		}
	}
	p := &pass{width: width}
	b, err := d.bind(&p.answer, width, 0, &d.cache[1], &d.cache[0])
	if err != nil {
		return fmt.Errorf("binding prefill of %d x %d: %w", d.o.Batch, width, err)
	}
	p.bound, d.prefill = b, p
	return nil
}

// leave puts the present prefill away: bindings of a cache that concatenates
// are of its length, and one that no bucket has may never be asked for again.
func (d *Decoder) leave() error {
	switch p := d.prefill; {
	case d.static == nil:
		return d.unbind()
	case p == nil:
		return nil
	case len(d.o.Buckets) > 0:
		d.others, d.prefill = append(d.others, p), nil
		return d.cutPieces(0)
	default:
		d.prefill = nil
		return errors.Join(p.bound.Close(), d.cutPieces(0))
	}
}

// bindStep binds one more step.
func (d *Decoder) bindStep() error {
	k, from := len(d.steps), d.prompt()
	turn := k // which set of caches the step reads
	if d.static == nil {
		turn += len(d.pieces)
	}
	b, err := d.bind(&d.next, 1, from+k, &d.cache[turn%2], &d.cache[(turn+1)%2])
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
		case contract.KindCachePosition:
			add(&in, t, d.static.columns.bytes)
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
	if d.prefill != nil {
		d.others = append(d.others, d.prefill)
	}
	for _, p := range slices.Concat(d.others, d.pieces) {
		errs = append(errs, p.bound.Close())
	}
	if d.whole != nil {
		errs = append(errs, d.whole.close())
	}
	for _, b := range d.steps {
		errs = append(errs, b.Close())
	}
	d.prefill, d.others, d.pieces, d.steps = nil, nil, nil, nil
	return errors.Join(errs...)
}

// byLayer orders tensors by their layer.
func byLayer(all []contract.Tensor) {
	sort.SliceStable(all, func(i, j int) bool { return all[i].Layer < all[j].Layer })
}
