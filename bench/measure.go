package bench

import (
	"fmt"
	"math"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/lm"
)

// Clock is a monotonic time since some beginning.
type Clock func() time.Duration

// Wall is a clock that begins now.
func Wall() Clock {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// Timer times requests of one case and keeps its buffers between them.
type Timer struct {
	c       Case
	d       *lm.Decoder
	m       *meter
	clock   Clock
	pieces  [][][]int64 // of the prompts: piece, row, token
	untimed int         // pieces before the clock starts
	next    []int64
	marks   []time.Duration // when each token id was on the host
	made    []int64         // the tokens of the last request: step, row
}

// NewTimer makes a decoder for the case and binds every run of it, so that none is
// made while the clock runs. text and seed are as in [Case.Prompts]. Close it.
func NewTimer(s lm.Session, of *contract.Contract, c Case, text []int64, seed uint64, clock Clock) (*Timer, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	t := &Timer{c: c, m: &meter{Session: s, clock: clock}, clock: clock, next: make([]int64, c.Batch), marks: make([]time.Duration, c.NewTokens)}
	t.made = make([]int64, c.Batch*c.NewTokens)
	var err error // the decoder comes first: what has no room fails at once
	if t.d, err = lm.NewDecoder(t.m, of, lm.Options{Batch: c.Batch, Capacity: c.Capacity(), Uncached: c.mode() == Uncached}); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", c.Name, err)
	}
	prompts, err := c.Prompts(text, of.Vocab, seed)
	if err != nil {
		_ = t.d.Close() // nothing was run
		return nil, err
	}
	columns, untimed := c.columns()
	t.pieces, t.untimed = cut(prompts, columns), untimed
	if err := t.d.PreparePieces(columns, c.NewTokens); err != nil {
		_ = t.d.Close()
		return nil, fmt.Errorf("preparing scenario %s: %w", c.Name, err)
	}
	return t, nil
}

// Close frees the decoder's bindings; the session stays open.
func (t *Timer) Close() error { return t.d.Close() }

// Tokens are what the last request generated, a list a row.
func (t *Timer) Tokens() [][]int64 {
	rows := make([][]int64, len(t.next))
	for i, id := range t.made {
		rows[i%len(rows)] = append(rows[i%len(rows)], id)
	}
	return rows
}

// cut cuts rows into pieces of those columns, as if each were padded on the left
// to their sum.
func cut(rows [][]int64, columns []int) [][][]int64 {
	total := 0
	for _, n := range columns {
		total += n
	}
	var pieces [][][]int64
	at := 0
	for _, n := range columns {
		piece := make([][]int64, len(rows))
		for b, row := range rows {
			pad := total - len(row)
			piece[b] = row[max(at-pad, 0) : at+n-pad]
		}
		pieces, at = append(pieces, piece), at+n
	}
	return pieces
}

// Measure runs one request: the prompts, then greedy tokens until there are
// NewTokens. Only the loop itself is timed. A failure is part of the sample.
func (t *Timer) Measure() Sample {
	sample := t.c.sample()
	start, err := t.loop()
	if err != nil {
		sample.Failure = Classify(err)
		return sample
	}
	sample.TTFT = ms(t.marks[0] - start)
	sample.E2E = ms(t.marks[len(t.marks)-1] - start)
	sample.Run = ms(t.m.spent)
	for i := 1; i < len(t.marks); i++ {
		sample.Gaps = append(sample.Gaps, ms(t.marks[i]-t.marks[i-1]))
	}
	sample.Failure = backwards(start, t.marks)
	return sample
}

// loop is what is timed, from start on. It allocates nothing.
func (t *Timer) loop() (start time.Duration, err error) {
	var logits lm.Logits
	for i, piece := range t.pieces {
		if i == 0 || i == t.untimed {
			start, t.m.spent = t.clock(), 0
		}
		if i == 0 {
			logits, err = t.d.Prefill(piece)
		} else {
			logits, err = t.d.Extend(piece)
		}
		if err != nil {
			return start, err
		}
	}
	for i := range t.marks {
		if i > 0 {
			if logits, err = t.d.Step(t.next); err != nil {
				return start, err
			}
		}
		if !logits.Greedy(t.next) || !finite(logits, t.next) {
			return start, errNonFinite
		}
		t.marks[i] = t.clock()
		copy(t.made[i*len(t.next):], t.next)
	}
	return start, nil
}

// finite tells whether the logits that were chosen are numbers: an engine whose
// products overflow chooses an infinite one.
func finite(l lm.Logits, chosen []int64) bool {
	for b, id := range chosen {
		if v := float64(l.Row(b, -1)[id]); math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// backwards is the failure of a request during which the clock ran back, or stood
// still for a whole prompt; nil where it did not.
func backwards(start time.Duration, marks []time.Duration) *Failure {
	if marks[0] == start {
		return &Failure{Class: Backwards, Cause: "the clock stood still until the first token"}
	}
	for _, m := range marks {
		if m < start {
			return &Failure{Class: Backwards, Cause: fmt.Sprintf("the clock ran back by %s", start-m)}
		}
		start = m
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
