package validate

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

// Accumulator turns logits into a Score while they come. It holds the windows that
// are under way, nothing else that grows with the vocabulary or with each token. It
// is not for use by several goroutines at once.
type Accumulator struct {
	windows []Window
	left    []int // rows to come, by window
	open    map[int]*opened
	ref     against
	score   Score
	kl      worst
	logit   worst
}

// opened is a window under way.
type opened struct {
	seen []bool // by row
	rows []Row  // of the bundle
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
	a := &Accumulator{windows: windows, open: map[int]*opened{}, ref: against{bundle: b}}
	a.score = Score{Phase: phase, Convention: c, Tokens: tokens}
	positions := 0
	for _, w := range windows {
		if w.Index < 0 || w.Index >= c.Count(tokens) || w.Span != c.Span(tokens, w.Index) || len(w.IDs) != w.Length {
			return nil, fmt.Errorf("scoring window %d: it is none of %s in %d tokens", w.Index, c, tokens)
		}
		a.score.Windows, a.left = append(a.score.Windows, w.Index), append(a.left, w.Rows())
		a.score.Rows += w.Rows()
		positions = max(positions, w.Length-1)
	}
	if b != nil && (b.Convention != c || b.Tokens != tokens) {
		return nil, fault.New(fault.Input, "scoring", b.name,
			fmt.Sprintf("the reference was recorded by %s on %d tokens, not %s on %d", b.Convention, b.Tokens, c, tokens), recordIt)
	}
	a.score.NLL = newSums(len(windows), positions)
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
	s := &a.score
	s.TopK = topK
	for _, sums := range []*Sums{&s.RefNLL, &s.KL, &s.DProb, &s.DProbSquares} {
		*sums = newSums(len(s.NLL.Windows), len(s.NLL.Positions))
	}
	a.kl.keep, a.logit.keep = kept(s.Rows, quantileKL), kept(s.Rows, quantileLogit)
}

// Took notes how long opening the engine and its runs took, in ms.
func (a *Accumulator) Took(load, run float64) { a.score.LoadMS, a.score.RunMS = load, run }

// row is a position with what it is compared with, and what that came to.
type row struct {
	Position
	target int
	ref    *Row      // of the bundle
	live   []float32 // of the stream

	apart
	nll, refNLL float64
}

// Add takes logits at scored positions, in any order where the reference is a
// bundle. Positions that predict nothing that is scored are refused, like any
// that is given twice.
func (a *Accumulator) Add(all ...Position) error {
	taken := make([]row, 0, streamed)
	for part := range slices.Chunk(all, streamed) {
		taken = taken[:0]
		for _, p := range part {
			r, err := a.take(p)
			if err != nil {
				return err
			}
			taken = append(taken, r)
		}
		if err := a.ref.pull(taken); err != nil {
			return err
		}
		parallel(taken, (*row).measure)
		for i := range taken { // in their order, so that the same rows give the same sums
			a.count(&taken[i])
		}
	}
	return nil
}

// streamed is how many rows are held at once of a reference that is a stream.
const streamed = 64

// take checks a position and finds what the bundle says of it.
func (a *Accumulator) take(p Position) (row, error) {
	if p.Window < 0 || p.Window >= len(a.windows) {
		return row{}, fmt.Errorf("scoring window %d: there are %d windows", p.Window, len(a.windows))
	}
	w := a.windows[p.Window]
	if p.At < w.First || p.At >= w.Length-1 {
		return row{}, fmt.Errorf("scoring window %d position %d: the scored positions are %d to %d", p.Window, p.At, w.First, w.Length-2)
	}
	r := row{Position: p, target: w.IDs[p.At+1]}
	if r.target < 0 || r.target >= len(p.Logits) {
		return r, fault.New(fault.Input, "scoring", fmt.Sprintf("window %d position %d", w.Index, p.At),
			fmt.Sprintf("token %d is outside the engine's %d logits", r.target, len(p.Logits)), "give the tokenizer that belongs to the model")
	}
	if err := a.ref.fits(p); err != nil {
		return r, err
	}
	o := a.open[p.Window]
	if o == nil && a.left[p.Window] > 0 {
		o = &opened{seen: make([]bool, w.Rows())}
		var err error
		if o.rows, err = a.ref.window(w.Index); err != nil {
			return r, err
		}
		a.open[p.Window] = o
	}
	at := p.At - w.First
	if o == nil || o.seen[at] {
		return r, fmt.Errorf("scoring window %d position %d: it was scored before", p.Window, p.At)
	}
	if o.rows != nil {
		r.ref = &o.rows[at]
	}
	o.seen[at] = true
	if a.left[p.Window]--; a.left[p.Window] == 0 {
		delete(a.open, p.Window)
	}
	return r, nil
}

// measure scores one row. Rows are independent of each other.
func (r *row) measure() {
	lse, top := logSumExp(r.Logits)
	broken := math.IsNaN(lse) || math.IsInf(lse, 0)
	r.nll = lse - float64(r.Logits[r.target])
	if broken {
		r.nll = math.Inf(1)
	}
	switch {
	case r.ref != nil:
		if r.apart = divergence(*r.ref, r.Logits, lse); !broken {
			r.agree = agreement(*r.ref, top)
		}
		r.refNLL = float64(r.ref.NLL)
	case r.live != nil:
		var refLSE float64
		r.apart, refLSE, _ = whole(r.live, r.Logits, lse, top)
		r.refNLL = refLSE - float64(r.live[r.target])
		r.p = math.Exp(-r.refNLL)
	default:
		return
	}
	if broken {
		inf := math.Inf(1)
		r.apart = apart{kl: inf, delta: inf, logit: inf, p: r.p}
	}
}

// count adds a row to the score.
func (a *Accumulator) count(r *row) {
	s := &a.score
	s.NLL.add(r, r.nll)
	if math.IsInf(r.nll, 1) {
		s.NonFinite++
		if at := (Place{a.windows[r.Window].Index, r.At}); s.Bad == nil || at.before(*s.Bad) {
			s.Bad = &at
		}
	}
	if !s.Reference() {
		return
	}
	d := math.Exp(-r.nll) - r.p
	s.RefNLL.add(r, r.refNLL)
	s.KL.add(r, r.kl)
	s.DProb.add(r, d)
	s.DProbSquares.add(r, d*d)
	a.kl.add(r.kl)
	a.logit.add(r.logit)
	s.MaxDelta = rows.Number(math.Max(float64(s.MaxDelta), r.delta))
	if r.agree&top1 != 0 {
		s.Top1++
	}
	if r.agree&top5 != 0 {
		s.Top5++
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
	missing, first := 0, -1
	for w, left := range a.left {
		if missing += left; left > 0 && first < 0 {
			first = w
		}
	}
	if missing > 0 {
		at := a.windows[first].First
		if o := a.open[first]; o != nil {
			at += slices.Index(o.seen, false)
		}
		return nil, fmt.Errorf("scoring: %d of %d positions were not given, the first is window %d position %d", missing, a.score.Rows, first, at)
	}
	s := a.score
	if s.Reference() {
		s.WorstKL, s.WorstLogit = a.kl.falling(), a.logit.falling()
	}
	return &s, nil
}
