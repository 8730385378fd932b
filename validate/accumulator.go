package validate

import (
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
)

// Accumulator turns logits into a Score, row by row in any order. It keeps the
// reference rows of the windows that are under way, nothing else that grows
// with the vocabulary. It is not for use by several goroutines at once.
type Accumulator struct {
	windows []Window
	perRow  int
	bundle  *Bundle // nil: only NLL
	open    map[int]*reference
	seen    []bool
	missing int
	score   Score
}

// reference is what the bundle says of a window that is under way.
type reference struct {
	rows []Row
	left int // rows to come
}

// NewAccumulator takes the windows that will be scored, all of one length (some
// or all of a text's), the reference or nil, and the phase: how the logits
// come about, "prefill" or "decode".
func NewAccumulator(windows []Window, b *Bundle, phase string) (*Accumulator, error) {
	if len(windows) == 0 {
		return nil, fault.New(fault.Usage, "scoring", "text", "it is shorter than one window", "give a longer text or a smaller [text] window")
	}
	c := Convention{Name: HFNonOverlap, Length: len(windows[0].IDs)}
	a := &Accumulator{windows: windows, perRow: c.Length - 1, bundle: b, open: map[int]*reference{}}
	a.score = Score{Phase: phase, Convention: c}
	for _, w := range windows {
		if len(w.IDs) != c.Length || c.Length < 2 {
			return nil, fmt.Errorf("scoring window %d: it has %d tokens, not %d", w.Index, len(w.IDs), c.Length)
		}
		a.score.Windows = append(a.score.Windows, w.Index)
	}
	if b != nil && b.Convention != c {
		return nil, fault.New(fault.Input, "scoring", b.name, fmt.Sprintf("the reference was recorded by %s, not %s", b.Convention, c), "record the bundle again")
	}
	n := len(windows) * a.perRow
	a.missing, a.seen, a.score.NLL = n, make([]bool, n), make(Floats, n)
	if b != nil {
		a.score.KL, a.score.MaxDelta, a.score.Agree = make(Floats, n), make(Floats, n), make([]byte, n)
	}
	return a, nil
}

// Add takes the logits (one float32 for each token of the vocabulary) that the
// engine gave at position t of windows[w], that is after windows[w].IDs[:t+1];
// they predict IDs[t+1]. Logits at the last position predict nothing that is
// scored and are refused, like any row given twice.
func (a *Accumulator) Add(w, t int, logits []float32) error {
	if w < 0 || w >= len(a.windows) || t < 0 || t >= a.perRow {
		return fmt.Errorf("scoring window %d position %d: there are %d windows of %d scored positions", w, t, len(a.windows), a.perRow)
	}
	at, window := w*a.perRow+t, a.windows[w]
	if a.seen[at] {
		return fmt.Errorf("scoring window %d position %d: it was scored before", w, t)
	}
	target := window.IDs[t+1]
	if target < 0 || target >= len(logits) {
		return fault.New(fault.Input, "scoring", fmt.Sprintf("window %d position %d", window.Index, t),
			fmt.Sprintf("token %d is outside the engine's %d logits", target, len(logits)), "give the tokenizer that belongs to the model")
	}
	ref, err := a.reference(w, len(logits))
	if err != nil {
		return err
	}
	a.row(at, target, logits, ref, t)
	a.seen[at], a.missing = true, a.missing-1
	if ref != nil {
		if ref.left--; ref.left == 0 {
			delete(a.open, w)
		}
	}
	return nil
}

// row scores one token.
func (a *Accumulator) row(at, target int, logits []float32, ref *reference, t int) {
	lse, top := LogSumExp(logits)
	broken := math.IsNaN(lse) || math.IsInf(lse, 0)
	if broken {
		a.score.NonFinite++
		a.score.NLL[at] = math.Inf(1)
	} else {
		a.score.NLL[at] = lse - float64(logits[target])
	}
	switch {
	case ref == nil:
	case broken:
		a.score.KL[at], a.score.MaxDelta[at] = math.Inf(1), math.Inf(1)
	default:
		row := ref.rows[t]
		a.score.KL[at], a.score.MaxDelta[at] = Divergence(row, logits, lse)
		if row.IDs[0] == uint32(top) {
			a.score.Agree[at] = 1
		}
	}
}

// reference is the bundle's part for window w, read when first asked for.
func (a *Accumulator) reference(w, vocab int) (*reference, error) {
	if a.bundle == nil {
		return nil, nil
	}
	if vocab != a.bundle.Vocab {
		return nil, fault.New(fault.Input, "scoring", a.bundle.name,
			fmt.Sprintf("the engine gives %d logits, the reference was recorded with %d", vocab, a.bundle.Vocab), "record the bundle again for this model")
	}
	if ref := a.open[w]; ref != nil {
		return ref, nil
	}
	all, err := a.bundle.Window(a.windows[w].Index)
	if err != nil {
		return nil, err
	}
	ref := &reference{rows: all, left: a.perRow}
	a.open[w] = ref
	return ref, nil
}

// Score is the result once every row has been added.
func (a *Accumulator) Score() (*Score, error) {
	if a.missing > 0 {
		first := slices.Index(a.seen, false)
		return nil, fmt.Errorf("scoring: %d of %d positions were not given, the first is window %d position %d",
			a.missing, len(a.seen), first/a.perRow, first%a.perRow)
	}
	s := a.score
	return &s, nil
}
