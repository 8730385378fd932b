package lm

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/contract"
)

// static is what a decoder knows of a cache of fixed length that the graph
// writes into. Tokens are put from column 0 on, padding first, so a step's shape
// is always the same: two bindings, one for each direction between the two sets
// of buffers, serve a request of any length. What changes from step to step is
// one column number and one more open column of the mask.
type static struct {
	capacity int   // columns of the graph's buffer
	rows     int   // of each buffer, one behind the other: batch x heads
	columns  *ints // what new keys are written to, [seq]
	dirty    int   // columns from the left that earlier requests may have written
}

// newStatic is nil where the cache is no buffer.
func newStatic(c *contract.Contract, o Options) *static {
	if c.Capacity() == 0 {
		return nil
	}
	return &static{capacity: int(c.Capacity()), rows: rows(c, o.Batch)}
}

// rows is how many runs of columns lie one behind the other in a buffer: the
// product of the dimensions before it.
func rows(c *contract.Contract, batch int) int {
	for _, t := range c.Inputs {
		at := slices.IndexFunc(t.Dims, func(d contract.Dim) bool { return d.Role == contract.Buffer })
		if at < 0 || !isPast(t.Kind) {
			continue
		}
		n := 1
		for _, size := range c.Shape(t, int64(batch), 1, 0)[:at] {
			n *= int(size)
		}
		return n
	}
	return 0
}

// check gives the reasons why a decoder cannot feed a static cache, or has none
// and is asked to.
func (s *static) check(o Options, counts map[contract.Kind]int) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case s == nil && counts[contract.KindCachePosition] > 0:
		bad("an input says where in the cache to write, but the cache has no fixed length")
	case s == nil:
	case counts[contract.KindCachePosition] != 1:
		bad("past and present share a buffer, and no input of kind %s says where to write", contract.KindCachePosition)
	case s.capacity < 1 || s.rows < 1:
		bad("past and present share a buffer of %d rows and %d columns", s.rows, s.capacity)
	case counts[contract.KindMask] != 1:
		bad("past and present share a buffer, and no mask says which columns of it are written")
	case o.Capacity > s.capacity:
		bad("capacity %d exceeds the %d columns of the graph's buffer", o.Capacity, s.capacity)
	}
	return errs
}

// open writes the mask and the columns of a run that fills columns past to total.
// Columns that are not written yet stay closed: what lies in them is no key.
func (s *static) open(mask *ints, pads []int, past, total int) {
	for i := past; i < total; i++ {
		s.columns.set(i-past, int64(i))
	}
	for b, pad := range pads {
		row := b * s.capacity
		if past == 0 {
			mask.fill(row, row+pad, 0)
			mask.fill(row+total, row+s.capacity, 0)
		}
		mask.fill(row+max(past, pad), row+total, 1)
	}
	s.dirty = max(s.dirty, total)
}

// clean zeroes what earlier requests left behind a prefill of that width, in the
// set that it reads. A closed column weighs nothing, but nothing times NaN is NaN:
// without this, one bad request would spoil all later ones.
func (s *static) clean(set *caches, width int) {
	for _, buffer := range set.buffers {
		row := len(buffer) / s.rows
		column := row / s.capacity
		for r := 0; r < s.rows && width < s.dirty; r++ {
			clear(buffer[r*row+width*column : r*row+s.dirty*column])
		}
	}
	s.dirty = width
}
