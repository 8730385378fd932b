package lm

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

// Options size a [Decoder].
type Options struct {
	Batch    int // rows that run together
	Capacity int // the longest total length: prompt, padding included, and everything decoded
	// Buckets are the lengths that prefills run at: a prompt is padded on the left
	// to the next of them, so that an engine meets few shapes. None: each prompt
	// has its own.
	Buckets []int
	// Uncached reads no cache: each step runs the whole sequence again, as
	// generation without a cache does. Prepare binds a run for every length.
	Uncached bool
}

// Decoder runs one causal language model at one batch size. It is for one
// goroutine.
type Decoder struct {
	session Session
	c       *contract.Contract
	o       Options

	ids, mask, positions *ints     // nil where the graph has no such input
	cache                [2]caches // read and written in turn
	placed               [][]byte  // those of its buffers that lie on a device
	next                 answer    // logits of a step
	static               *static   // nil where the graph concatenates its cache

	prefill   *pass     // nil where nothing is bound
	others    []*pass   // prefills of other buckets, which a static cache keeps bound
	pieces    []*pass   // of a prompt that is taken in several, behind the prefill
	steps     []Bound   // one a length, or two for all lengths
	pieceRoom room      // of their logits
	whole     *sequence // nil where a cache is read
	pads      []int     // per row, columns on the left that are no tokens
	ragged    bool      // some pad is not 0
	masked    bool      // the mask buffer is not all ones
	past      int       // columns in the cache
	extended  int       // pieces since the last Prefill
	fed       int       // steps since then
}

// pass is a run of several columns that is bound at one length.
type pass struct {
	width int // columns
	bound Bound
	answer
}

// caches is one whole set of keys and values: per layer and kind a buffer of
// Capacity, of which a step uses the dense beginning [batch, heads, len, dim]; a
// static cache is used whole.
type caches struct {
	buffers [][]byte // in the order of the contract's past inputs
}

// NewDecoder makes a decoder of the contract's graph and allocates its cache:
// two sets, each layers x 2 x batch x heads x capacity x head size, where the
// capacity of a static cache is the graph's, however little is asked for. A contract
// that cannot be fed (an input of unknown meaning, a cache that is read but not
// written) is an error of class input that names every reason.
func NewDecoder(s Session, c *contract.Contract, o Options) (*Decoder, error) {
	d := &Decoder{session: s, c: c, o: o, pads: make([]int, max(o.Batch, 0)), static: newStatic(c, o)}
	d.o.Buckets = slices.Sorted(slices.Values(o.Buckets))
	if o.Uncached {
		d.whole = newSequence(o)
	}
	if err := d.check(); err != nil {
		return nil, fault.Wrap(fault.Input, "reading contract", "", err,
			"export the graph with a cache, or describe its inputs under [inputs]")
	}
	if err := d.allocate(); err != nil {
		_ = d.Close() // the allocation's error says more
		return nil, fmt.Errorf("allocating a decoder for batch %d, capacity %d: %w", o.Batch, o.Capacity, err)
	}
	return d, nil
}

// check gives every reason why the contract cannot be fed.
func (d *Decoder) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if d.o.Batch < 1 || d.o.Capacity < 1 {
		bad("batch %d and capacity %d must be at least 1", d.o.Batch, d.o.Capacity)
	}
	if limit := d.c.MaxPositions; limit > 0 && d.o.Capacity > limit && d.static == nil {
		bad("capacity %d exceeds the model's %d positions", d.o.Capacity, limit)
	}
	if d.o.Uncached && len(d.o.Buckets) > 0 {
		bad("buckets are for a cache, and none is read")
	}
	for _, n := range d.o.Buckets {
		if n < 1 || n > d.o.Capacity {
			bad("bucket %d is not between 1 and the capacity %d", n, d.o.Capacity)
		}
	}
	counts := map[contract.Kind]int{}
	for _, t := range append(append([]contract.Tensor{}, d.c.Inputs...), d.c.Outputs...) {
		counts[t.Kind]++
		if _, err := dtype(t.Type); err != nil {
			bad("%s: %w", t.Name, err)
		}
	}
	for _, t := range d.c.Inputs {
		if t.Kind == contract.KindOther {
			bad("nobody knows what input %s is for", t.Name)
		}
	}
	if counts[contract.KindIDs] != 1 || counts[contract.KindLogits] != 1 {
		bad("%d inputs of token ids and %d outputs of logits, want one of each", counts[contract.KindIDs], counts[contract.KindLogits])
	}
	errs = append(errs, d.static.check(d.o, counts)...)
	past, present := d.tensors(d.c.Inputs, isPast), d.tensors(d.c.Outputs, isPresent)
	if len(past) != len(present) {
		bad("%d tensors of cache read, %d written", len(past), len(present))
	}
	for i := range min(len(past), len(present)) {
		if past[i].Layer != present[i].Layer || (past[i].Kind == contract.KindPastKey) != (present[i].Kind == contract.KindPresentKey) {
			bad("%s is written where %s is read", present[i].Name, past[i].Name)
		}
		if past[i].Type != present[i].Type {
			bad("%s is %s, %s is %s", past[i].Name, past[i].Type, present[i].Name, present[i].Type)
		}
	}
	return errors.Join(errs...)
}

func isPast(k contract.Kind) bool { return k == contract.KindPastKey || k == contract.KindPastValue }

func isPresent(k contract.Kind) bool {
	return k == contract.KindPresentKey || k == contract.KindPresentValue
}

// tensors are those of the given kinds, keys before values, layer by layer.
func (d *Decoder) tensors(all []contract.Tensor, want func(contract.Kind) bool) []contract.Tensor {
	var keys, values []contract.Tensor
	for _, t := range all {
		switch {
		case !want(t.Kind):
		case t.Kind == contract.KindPastKey || t.Kind == contract.KindPresentKey:
			keys = append(keys, t)
		default:
			values = append(values, t)
		}
	}
	byLayer(keys)
	byLayer(values)
	return append(keys, values...)
}

// allocate makes every buffer whose size does not depend on a prompt's length.
func (d *Decoder) allocate() error {
	n := d.o.Batch * d.o.Capacity
	for _, t := range d.c.Inputs {
		var at **ints
		switch t.Kind {
		case contract.KindIDs:
			at = &d.ids
		case contract.KindMask:
			at = &d.mask
		case contract.KindPositions:
			at = &d.positions
		case contract.KindCachePosition:
			at = &d.static.columns
		default:
			continue
		}
		typ, err := dtype(t.Type)
		if err != nil {
			return err
		}
		size := n
		if t.Kind == contract.KindMask && d.static != nil {
			size = d.o.Batch * d.static.capacity
		}
		if *at, err = newInts(typ, size); err != nil {
			return fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	for _, t := range d.tensors(d.c.Inputs, isPast) {
		whole, err := d.view(t, nil, 1, d.o.Capacity)
		if err != nil {
			return err
		}
		size, err := whole.Type.Bytes(whole.Dims)
		if err != nil {
			return err
		}
		for i := range d.cache {
			buffer, err := d.room(size)
			if err != nil {
				return fmt.Errorf("%s: %w", t.Name, err)
			}
			d.cache[i].buffers = append(d.cache[i].buffers, buffer)
		}
	}
	if d.mask != nil && d.static == nil {
		d.mask.fill(0, n, 1)
	}
	return nil
}

// room is a buffer of the cache: on the session's device, where it has one. A
// static cache is cleaned by the host, so it stays here.
func (d *Decoder) room(n int64) ([]byte, error) {
	if p, ok := d.session.(Placer); ok && d.static == nil {
		if b, err := p.Place(n); b != nil || err != nil {
			if err == nil {
				d.placed = append(d.placed, b)
			}
			return b, err
		}
	}
	return aligned(n), nil
}

// CacheOnHost tells whether keys and values lie in the host's memory between two
// runs, also where the graph runs on a device. It is false where there are none.
func (d *Decoder) CacheOnHost() bool { return len(d.cache[0].buffers) > 0 && len(d.placed) == 0 }

// Reset forgets the prompt and keeps buffers and bindings.
func (d *Decoder) Reset() { d.past, d.extended, d.fed = 0, 0, 0 }

// Past is how many columns the cache holds, padding included.
func (d *Decoder) Past() int { return d.past }

// Close frees the bindings and what lies on a device. The session stays open: it
// is its maker's.
func (d *Decoder) Close() error {
	d.Reset()
	errs := []error{d.unbind()}
	for _, b := range d.placed {
		errs = append(errs, d.session.(Placer).Release(b))
	}
	d.placed = nil
	return errors.Join(errs...)
}
