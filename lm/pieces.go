package lm

import (
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
)

// PreparePieces is [Decoder.Prepare] for a prompt that is taken in pieces of these
// columns: the first by Prefill, each further one by Extend.
func (d *Decoder) PreparePieces(columns []int, newTokens int) error {
	if len(columns) < 2 {
		return d.Prepare(columns[0], newTokens)
	}
	total := 0
	for _, n := range columns {
		total += n
	}
	if d.whole != nil || len(d.o.Buckets) > 0 {
		return fault.New(fault.Usage, "preparing", fmt.Sprintf("%d pieces of a prompt", len(columns)),
			"a decoder without a cache, or with buckets, takes prompts whole", "make one without")
	}
	if newTokens < 1 || total+newTokens-1 > d.o.Capacity {
		return d.tooLong(total, newTokens, total)
	}
	if err := d.prepareHead(columns[0], 1); err != nil {
		return err
	}
	if err := d.cutPieces(0); err != nil {
		return err
	}
	for _, n := range columns[1:] {
		if err := d.bindPiece(n); err != nil {
			return err
		}
	}
	return d.bindSteps(newTokens - 1)
}

// Extend runs more columns of every row after those in the cache, before the first
// step: the next piece of a prompt that is longer than one pass. All rows have as
// many. The logits have shape [batch][columns][vocab]. A piece that was not prepared
// is bound first.
func (d *Decoder) Extend(ids [][]int64) (Logits, error) {
	if err := d.extends(ids); err != nil {
		return Logits{}, err
	}
	width := len(ids[0])
	for b, row := range ids {
		for i, id := range row {
			d.ids.set(b*width+i, id)
			if d.positions != nil {
				d.positions.set(b*width+i, int64(d.past+i-d.pads[b]))
			}
		}
	}
	d.remask(d.past + width)
	p := d.pieces[d.extended]
	if err := p.bound.Run(); err != nil {
		return Logits{}, fmt.Errorf("prefill of %d x %d after %d columns: %w", d.o.Batch, width, d.past, err)
	}
	d.past += width
	d.extended++
	return p.read(), nil
}

// extends refuses a piece that cannot be and binds one that was not prepared.
func (d *Decoder) extends(ids [][]int64) error {
	bad := func(cause, fix string) error { return fault.New(fault.Usage, "extending", "", cause, fix) }
	if len(ids) != d.o.Batch {
		return bad(fmt.Sprintf("%d rows for a decoder of batch %d", len(ids), d.o.Batch), "give one a row")
	}
	width := len(ids[0])
	for _, row := range ids {
		if len(row) != width || width == 0 {
			return bad("rows of no tokens, or of different length", "pad in the first piece only")
		}
	}
	switch {
	case d.past == 0 || d.fed > 0 || d.whole != nil || len(d.o.Buckets) > 0:
		return bad("a piece comes after a prefill without buckets and before the first step", "run a prefill first")
	case d.past+width > d.o.Capacity:
		return bad(fmt.Sprintf("%d columns after %d exceed the capacity %d", width, d.past, d.o.Capacity), "make a decoder of larger capacity")
	case len(d.cache[0].buffers) == 0:
		return bad("the graph has no cache of keys and values", "export it with one")
	case d.extended < len(d.pieces) && d.pieces[d.extended].width == width:
		return nil
	}
	return errors.Join(d.cutPieces(d.extended), d.bindPiece(width))
}

// bindPiece binds one more piece of n columns.
func (d *Decoder) bindPiece(n int) error {
	k := len(d.pieces)
	p := &pass{width: n}
	p.room = &d.pieceRoom
	b, err := d.bind(&p.answer, n, d.prompt(), &d.cache[k%2], &d.cache[(k+1)%2])
	if err != nil {
		return fmt.Errorf("binding %d x %d after %d columns: %w", d.o.Batch, n, d.prompt(), err)
	}
	p.bound, d.pieces = b, append(d.pieces, p)
	return nil
}

// prompt is the columns of the prompt as far as it is bound.
func (d *Decoder) prompt() int {
	n := d.prefill.width
	for _, p := range d.pieces {
		n += p.width
	}
	return n
}

// cutPieces frees the pieces from the k-th on, and the steps behind them, whose
// shapes depend on what is before.
func (d *Decoder) cutPieces(k int) error {
	if k >= len(d.pieces) {
		return nil
	}
	var errs []error
	for _, p := range d.pieces[k:] {
		errs = append(errs, p.bound.Close())
	}
	d.pieces = d.pieces[:k]
	if d.static == nil {
		for _, s := range d.steps {
			errs = append(errs, s.Close())
		}
		d.steps = nil
	}
	return errors.Join(errs...)
}
