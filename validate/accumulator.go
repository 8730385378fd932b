package validate

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"
	"unsafe"

	"github.com/trtforge/trtforge/internal/fault"
)

// Accumulator turns logits into a Score. It keeps the reference rows of the
// windows that are under way, nothing else that grows with the vocabulary. It is
// not for use by several goroutines at once.
type Accumulator struct {
	windows []Window
	before  []int // scored tokens before each window
	ref     against
	seen    []bool
	missing int
	score   Score
}

// against is what logits are compared with: nothing, a bundle, or a stream.
type against struct {
	bundle *Bundle
	open   map[int]*reference // of the bundle: windows under way
	live   io.Reader
	rows   []float32 // of the stream: room for the rows of one Add
}

// reference is what the bundle says of a window that is under way.
type reference struct {
	rows []Row
	left int // rows to come
}

// Position is the logits (one float32 for each token of the vocabulary) that an
// engine gave at position At of windows[Window], that is after its tokens up to
// and with At; they predict the next.
type Position struct {
	Window, At int
	Logits     []float32
}

// NewAccumulator takes the windows of a text of that many tokens that will be
// scored, some or all of the convention's, the reference or nil, and the phase:
// how the logits come about, "prefill" or "decode".
func NewAccumulator(windows []Window, c Convention, tokens int, b *Bundle, phase string) (*Accumulator, error) {
	if len(windows) == 0 {
		return nil, c.Short(tokens)
	}
	a := &Accumulator{windows: windows, ref: against{bundle: b, open: map[int]*reference{}}}
	a.score = Score{Phase: phase, Convention: c, Tokens: tokens, Bad: -1}
	n := 0
	for _, w := range windows {
		if w.Index < 0 || w.Index >= c.Count(tokens) || w.Span != c.Span(tokens, w.Index) || len(w.IDs) != w.Length {
			return nil, fmt.Errorf("scoring window %d: it is none of %s in %d tokens", w.Index, c, tokens)
		}
		a.score.Windows, a.before = append(a.score.Windows, w.Index), append(a.before, n)
		n += w.Rows()
	}
	if b != nil && (b.Convention != c || b.Tokens != tokens) {
		return nil, fault.New(fault.Input, "scoring", b.name,
			fmt.Sprintf("the reference was recorded by %s on %d tokens, not %s on %d", b.Convention, b.Tokens, c, tokens), "record the bundle again")
	}
	a.missing, a.seen, a.score.NLL = n, make([]bool, n), make(Floats, n)
	if b != nil {
		a.compares(b.TopK)
	}
	return a, nil
}

// Live has the logits compared with a stream of the reference's: float32,
// little-endian, row after row in the order in which the rows are added.
func (a *Accumulator) Live(r io.Reader) {
	a.ref.live = r
	a.compares(0)
}

func (a *Accumulator) compares(topK int) {
	n, s := len(a.seen), &a.score
	s.TopK, s.RefNLL, s.Agree = topK, make(Floats, n), make([]byte, n)
	s.KL, s.MaxDelta, s.MaxLogit, s.DProb = make(Singles, n), make(Singles, n), make(Singles, n), make(Singles, n)
}

// Took notes how long it took to get and score the logits, and the part of the
// runtime in it, in ms.
func (a *Accumulator) Took(run, total float64) { a.score.RunMS, a.score.TotalMS = run, total }

// row is a position with what it is compared with.
type row struct {
	Position
	at, target int
	ref        *Row      // of the bundle
	live       []float32 // of the stream
}

// Add takes logits at scored positions, in any order where the reference is a
// bundle. Positions that predict nothing that is scored are refused, like any
// that is given twice.
func (a *Accumulator) Add(all ...Position) error {
	rows := make([]row, 0, streamed)
	for part := range slices.Chunk(all, streamed) {
		rows = rows[:0]
		for _, p := range part {
			r, err := a.find(p)
			if err == nil {
				err = a.refer(&r)
			}
			if err != nil {
				return err
			}
			a.seen[r.at], a.missing = true, a.missing-1
			rows = append(rows, r)
		}
		if err := a.pull(rows); err != nil {
			return err
		}
		parallel(rows, a.add)
		a.count(rows)
	}
	return nil
}

// streamed is how many rows are held at once of a reference that is a stream.
const streamed = 64

// find checks a position and finds its place.
func (a *Accumulator) find(p Position) (row, error) {
	if p.Window < 0 || p.Window >= len(a.windows) {
		return row{}, fmt.Errorf("scoring window %d: there are %d windows", p.Window, len(a.windows))
	}
	w := a.windows[p.Window]
	if p.At < w.First || p.At >= w.Length-1 {
		return row{}, fmt.Errorf("scoring window %d position %d: the scored positions are %d to %d", p.Window, p.At, w.First, w.Length-2)
	}
	r := row{Position: p, at: a.before[p.Window] + p.At - w.First, target: w.IDs[p.At+1]}
	if a.seen[r.at] {
		return r, fmt.Errorf("scoring window %d position %d: it was scored before", p.Window, p.At)
	}
	if r.target < 0 || r.target >= len(p.Logits) {
		return r, fault.New(fault.Input, "scoring", fmt.Sprintf("window %d position %d", w.Index, p.At),
			fmt.Sprintf("token %d is outside the engine's %d logits", r.target, len(p.Logits)), "give the tokenizer that belongs to the model")
	}
	return r, nil
}

// refer finds what the bundle says of the row.
func (a *Accumulator) refer(r *row) error {
	b := a.ref.bundle
	if b == nil {
		return nil
	}
	if len(r.Logits) != b.Vocab {
		return fault.New(fault.Input, "scoring", b.name,
			fmt.Sprintf("the engine gives %d logits, the reference was recorded with %d", len(r.Logits), b.Vocab), "record the bundle again for this model")
	}
	ref := a.ref.open[r.Window]
	if ref == nil {
		all, err := b.Window(a.windows[r.Window].Index)
		if err != nil {
			return err
		}
		ref = &reference{rows: all, left: len(all)}
		a.ref.open[r.Window] = ref
	}
	r.ref = &ref.rows[r.At-a.windows[r.Window].First]
	if ref.left--; ref.left == 0 {
		delete(a.ref.open, r.Window)
	}
	return nil
}

// pull reads the stream's rows.
func (a *Accumulator) pull(rows []row) error {
	if a.ref.live == nil || len(rows) == 0 {
		return nil
	}
	vocab := len(rows[0].Logits)
	if len(a.ref.rows) < len(rows)*vocab {
		a.ref.rows = make([]float32, len(rows)*vocab)
	}
	all := a.ref.rows[:len(rows)*vocab]
	// Every machine that this runs on is little-endian, as the stream is.
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(all))), 4*len(all))
	if _, err := io.ReadFull(a.ref.live, raw); err != nil {
		return fault.Wrap(fault.Runtime, "reading", "the live reference", err, "see its log")
	}
	for i := range rows {
		rows[i].live = all[i*vocab : (i+1)*vocab : (i+1)*vocab]
	}
	return nil
}

// add scores one row. Rows are independent of each other.
func (a *Accumulator) add(r *row) {
	s, at := &a.score, r.at
	lse, top := LogSumExp(r.Logits)
	broken := math.IsNaN(lse) || math.IsInf(lse, 0)
	s.NLL[at] = lse - float64(r.Logits[r.target])
	if broken {
		s.NLL[at] = math.Inf(1)
	}
	var d apart
	switch {
	case r.ref != nil:
		if d = divergence(*r.ref, r.Logits, lse); !broken {
			d.agree = agreement(*r.ref, top)
		}
		s.RefNLL[at] = float64(r.ref.NLL)
	case r.live != nil:
		var refLSE float64
		d, refLSE, _ = whole(r.live, r.Logits, lse, top)
		s.RefNLL[at] = refLSE - float64(r.live[r.target])
		d.p = math.Exp(-s.RefNLL[at])
	default:
		return
	}
	if broken {
		inf := math.Inf(1)
		d = apart{kl: inf, delta: inf, logit: inf, p: d.p}
	}
	s.KL[at], s.MaxDelta[at], s.MaxLogit[at], s.Agree[at] = d.kl, d.delta, d.logit, d.agree
	s.DProb[at] = math.Exp(-s.NLL[at]) - d.p
}

// count notes the rows that were not finite.
func (a *Accumulator) count(rows []row) {
	for _, r := range rows {
		if math.IsInf(a.score.NLL[r.at], 1) {
			a.score.NonFinite++
			if a.score.Bad < 0 || r.at < a.score.Bad {
				a.score.Bad = r.at
			}
		}
	}
}

// parallel does something to each row, on all processors where there are enough:
// the runtime that makes the next ones is idle meanwhile.
func parallel(rows []row, do func(*row)) {
	workers := min(runtime.GOMAXPROCS(0), len(rows))
	var wait sync.WaitGroup
	for k := 1; k < workers; k++ {
		wait.Go(func() {
			for i := k; i < len(rows); i += workers {
				do(&rows[i])
			}
		})
	}
	for i := 0; i < len(rows); i += max(workers, 1) {
		do(&rows[i])
	}
	wait.Wait()
}

// Score is the result once every row has been added.
func (a *Accumulator) Score() (*Score, error) {
	if a.missing > 0 {
		first := slices.Index(a.seen, false)
		w := len(a.before) - 1
		for a.before[w] > first {
			w--
		}
		return nil, fmt.Errorf("scoring: %d of %d positions were not given, the first is window %d position %d",
			a.missing, len(a.seen), w, first-a.before[w]+a.windows[w].First)
	}
	s := a.score
	return &s, nil
}
