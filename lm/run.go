package lm

import (
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
)

// Prefill runs one prompt a row and leaves their keys and values in the cache.
// Rows of different length are padded on the left with token 0, masked. The
// logits have shape [batch][longest prompt][vocab], or one position where the
// graph answers only the last; with buckets the longest prompt is as long as its
// bucket. A length that was not prepared is bound first, which takes time and
// memory.
func (d *Decoder) Prefill(ids [][]int64) (Logits, error) {
	longest, err := d.measure(ids)
	if err != nil {
		return Logits{}, err
	}
	if d.whole != nil {
		d.whole.begin(ids)
		return d.runWhole(longest)
	}
	if err := d.prepareHead(longest, 1); err != nil {
		return Logits{}, err
	}
	return d.head(d.prefill, ids)
}

// head runs a pass that begins a sequence.
func (d *Decoder) head(p *pass, ids [][]int64) (Logits, error) {
	d.Reset()
	for b, row := range ids {
		d.place(b, p.width, row)
	}
	if d.static != nil {
		d.static.clean(&d.cache[1], p.width)
	}
	d.remask(p.width)
	if err := p.bound.Run(); err != nil {
		return Logits{}, fmt.Errorf("prefill of %d x %d: %w", d.o.Batch, p.width, err)
	}
	d.past = p.width
	return p.read(), nil
}

// measure notes each row's padding, up to its bucket, and gives the longest row's length.
func (d *Decoder) measure(ids [][]int64) (int, error) {
	if len(ids) != d.o.Batch {
		return 0, fault.New(fault.Usage, "prefill", "", fmt.Sprintf("%d rows for a decoder of batch %d", len(ids), d.o.Batch), "make a decoder of that batch")
	}
	longest := 0
	for _, row := range ids {
		longest = max(longest, len(row))
	}
	width := max(longest, d.bucket(longest))
	d.ragged = false
	for b, row := range ids {
		if len(row) == 0 {
			return 0, fault.New(fault.Usage, "prefill", fmt.Sprintf("row %d", b), "no tokens", "give at least one")
		}
		d.pads[b] = width - len(row)
		d.ragged = d.ragged || d.pads[b] > 0
	}
	if d.ragged && d.mask == nil {
		return 0, fault.New(fault.Usage, "prefill", "", "prompts of different length need a mask, and the graph has no such input",
			"give prompts of one length, or export the graph with an attention mask")
	}
	return longest, nil
}

// place writes row b, padded to width columns, and its positions. Padding has
// position 0: any that exists will do, since nobody attends to it.
func (d *Decoder) place(b, width int, row []int64) {
	pad, at := d.pads[b], b*width
	d.ids.fill(at, at+pad, 0)
	for i, id := range row {
		d.ids.set(at+pad+i, id)
	}
	if d.positions == nil {
		return
	}
	d.positions.fill(at, at+pad, 0)
	for i := range row {
		d.positions.set(at+pad+i, int64(i))
	}
}

// remask writes the mask of a run after which the cache holds total columns. A
// mask of ones is the same in any shape and is not written again.
func (d *Decoder) remask(total int) {
	if d.static != nil {
		d.static.open(d.mask, d.pads, d.past, total)
		return
	}
	if d.mask == nil || (!d.ragged && !d.masked) {
		return
	}
	d.masked = d.ragged
	if !d.ragged {
		d.mask.fill(0, d.o.Batch*d.o.Capacity, 1)
		return
	}
	for b, pad := range d.pads {
		d.mask.fill(b*total, b*total+pad, 0)
		d.mask.fill(b*total+pad, (b+1)*total, 1)
	}
}

// Step feeds one token a row and gives the logits after it, shape
// [batch][1][vocab], or of all columns where no cache is read. It allocates nothing where [Decoder.Prepare] was told of it.
func (d *Decoder) Step(ids []int64) (Logits, error) {
	if err := d.ready(len(ids)); err != nil {
		return Logits{}, err
	}
	if d.whole != nil {
		d.whole.add(ids)
		return d.runWhole(d.past + 1)
	}
	for b, id := range ids {
		d.ids.set(b, id)
		if d.positions != nil {
			d.positions.set(b, int64(d.past-d.pads[b]))
		}
	}
	d.remask(d.past + 1)
	if err := d.steps[d.step()].Run(); err != nil {
		return Logits{}, fmt.Errorf("step %d after %d columns: %w", d.fed+1, d.past, err)
	}
	d.past++
	d.fed++
	return d.next.read(), nil
}

// ready refuses a step that cannot be and binds one that was not prepared.
func (d *Decoder) ready(rows int) error {
	switch {
	case rows != d.o.Batch:
		return fault.New(fault.Usage, "step", "", fmt.Sprintf("%d tokens for a decoder of batch %d", rows, d.o.Batch), "give one a row")
	case d.past == 0:
		return fault.New(fault.Usage, "step", "", "nothing to continue", "run a prefill first")
	case d.whole == nil && len(d.cache[0].buffers) == 0:
		return fault.New(fault.Usage, "step", "", "the graph has no cache of keys and values", "export it with one")
	case d.past >= d.o.Capacity:
		return fault.New(fault.Usage, "step", "", fmt.Sprintf("the cache holds %d columns and is full", d.past), "make a decoder of larger capacity")
	case d.whole != nil:
		return nil
	}
	if d.extended < len(d.pieces) { // bound, and then left out
		if err := d.cutPieces(d.extended); err != nil {
			return err
		}
	}
	for d.step() >= len(d.steps) {
		if err := d.bindStep(); err != nil {
			return err
		}
	}
	return nil
}

// step is the binding that the next step runs on.
func (d *Decoder) step() int {
	if d.static != nil {
		return (d.extended + d.fed) % len(d.cache)
	}
	return d.fed
}
