package validate

import (
	"fmt"
	"io"
	"unsafe"

	"github.com/trtforge/trtforge/internal/fault"
)

// against is what logits are compared with: nothing, a bundle, or a stream.
type against struct {
	bundle *Bundle
	live   io.Reader
	rows   []float32 // of the stream: room for the rows of one Add
}

// fits refuses logits of another vocabulary than the bundle's.
func (r *against) fits(p Position) error {
	if b := r.bundle; b != nil && len(p.Logits) != b.Vocab {
		return fault.New(fault.Input, "scoring", b.name,
			fmt.Sprintf("the engine gives %d logits, the reference was recorded with %d", len(p.Logits), b.Vocab), recordIt)
	}
	return nil
}

// window is what the bundle says of a window; nil without one.
func (r *against) window(index int) ([]Row, error) {
	if r.bundle == nil {
		return nil, nil
	}
	return r.bundle.Window(index)
}

// pull reads the stream's rows.
func (r *against) pull(rows []row) error {
	if r.live == nil || len(rows) == 0 {
		return nil
	}
	vocab := len(rows[0].Logits)
	if len(r.rows) < len(rows)*vocab {
		r.rows = make([]float32, len(rows)*vocab)
	}
	all := r.rows[:len(rows)*vocab]
	// Every machine that this runs on is little-endian, as the stream is.
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(all))), 4*len(all))
	if _, err := io.ReadFull(r.live, raw); err != nil {
		return fault.Wrap(fault.Runtime, "reading", "the live reference", err, "see its log")
	}
	for i := range rows {
		rows[i].live = all[i*vocab : (i+1)*vocab : (i+1)*vocab]
	}
	return nil
}
