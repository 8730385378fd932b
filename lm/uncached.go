package lm

import (
	"errors"
	"fmt"
)

// sequence is what a decoder that reads no cache remembers: the tokens so far, which
// each step feeds again, and one bound pass a length. Its passes share the memory
// of their logits, of which there would else be the square of the length.
type sequence struct {
	rows   [][]int64 // tokens so far, capacity of each preallocated
	passes []*pass   // by columns; nil where not bound
	room   room
}

func newSequence(o Options) *sequence {
	w := &sequence{passes: make([]*pass, max(o.Capacity, 0)+1), rows: make([][]int64, max(o.Batch, 0))}
	for b := range w.rows {
		w.rows[b] = make([]int64, 0, max(o.Capacity, 0))
	}
	return w
}

// begin remembers prompts.
func (w *sequence) begin(ids [][]int64) {
	for b, row := range ids {
		w.rows[b] = append(w.rows[b][:0], row...)
	}
}

// add remembers one token a row.
func (w *sequence) add(ids []int64) {
	for b, id := range ids {
		w.rows[b] = append(w.rows[b], id)
	}
}

func (w *sequence) close() error {
	var errs []error
	for i, p := range w.passes {
		if p != nil {
			errs = append(errs, p.bound.Close())
			w.passes[i] = nil
		}
	}
	return errors.Join(errs...)
}

// prepareWhole binds a pass for every length that a request gets to, the longest
// first, so that the others find room in its logits.
func (d *Decoder) prepareWhole(promptLen, newTokens int) error {
	if promptLen < 1 || newTokens < 1 || promptLen+newTokens-1 > d.o.Capacity {
		return d.tooLong(promptLen, newTokens, promptLen)
	}
	for n := promptLen + newTokens - 1; n >= promptLen; n-- {
		if err := d.bindWhole(n); err != nil {
			return err
		}
	}
	return nil
}

func (d *Decoder) bindWhole(n int) error {
	if d.whole.passes[n] != nil {
		return nil
	}
	p := &pass{width: n}
	p.room = &d.whole.room
	b, err := d.bind(&p.answer, n, 0, &d.cache[1], &d.cache[0])
	if err != nil {
		return fmt.Errorf("binding %d x %d: %w", d.o.Batch, n, err)
	}
	p.bound, d.whole.passes[n] = b, p
	return nil
}

// runWhole runs the first n columns of everything so far.
func (d *Decoder) runWhole(n int) (Logits, error) {
	if n > d.o.Capacity {
		return Logits{}, d.tooLong(n, 1, n)
	}
	if err := d.bindWhole(n); err != nil {
		return Logits{}, err
	}
	return d.head(d.whole.passes[n], d.whole.rows)
}
