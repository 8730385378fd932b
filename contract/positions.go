package contract

import (
	"strconv"

	"github.com/trtforge/trtforge/onnx/shape"
)

// positions finds the longest past + seq: what the metadata say, else the rows
// of the tables that are selected by the positions, by a count of the mask or by
// a range of past and seq, the smallest of them, without the rows that lie before
// position 0. A graph with none (rotary positions that are computed) states no
// limit. A buffer that is shorter is a limit too.
func (r *reader) positions() {
	r.stated()
	if n := int(r.c.Capacity()); n > 0 && (r.c.MaxPositions == 0 || n < r.c.MaxPositions) {
		r.c.MaxPositions = n
	}
}

// stated is the limit that positions have, however long a buffer is.
func (r *reader) stated() {
	least := func(rows, offset int64) {
		if n := rows - offset; n > 0 && n <= maxSize && (r.c.MaxPositions == 0 || n < int64(r.c.MaxPositions)) {
			r.c.MaxPositions = int(n)
		}
	}
	for i, t := range r.c.Inputs {
		for _, table := range r.flow.tables[i] {
			if t.Kind == KindPositions {
				least(table.rows, max(table.offset, 0))
			}
		}
	}
	for _, table := range r.flow.counts {
		least(table.rows, max(table.offset, 0))
	}
	for _, l := range r.flow.trace.Limits() {
		if offset, ok := r.beyond(l); ok {
			least(l.Size, offset)
			r.c.PositionsTable = true
		}
	}
	for _, rows := range r.flow.cosines {
		least(rows, 0)
		r.c.PositionsTable = true
	}
	said, ok := r.meta(metaPositions)
	if !ok {
		return
	}
	n, err := strconv.Atoi(said)
	if err != nil || n < 1 {
		r.bad("metadata %s is %q, want a number of positions", metaPositions, said)
		return
	}
	r.c.MaxPositions = n
}

// beyond is how much more than past + seq (without a cache seq) a limit is
// about; ok is false where it is about something else.
func (r *reader) beyond(l shape.Limit) (offset int64, ok bool) {
	total := r.sizes[Total]
	if !r.cached {
		total = r.sizes[Seq]
	}
	n, ok := l.Need.Minus(total).Value()
	return n, ok && n >= 0
}
