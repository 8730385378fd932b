package bench

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/profiles"
)

// Clock is a monotonic time since some beginning.
type Clock func() time.Duration

// Wall is a clock that begins now.
func Wall() Clock {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}

// Timer times requests on one decoder and keeps its buffers between them.
type Timer struct {
	d     *lm.Decoder
	clock Clock
	next  []int64
	marks []time.Duration // when each token id was on the host
}

// NewTimer prepares the decoder for the scenario, so that no binding is made
// while the clock runs.
func NewTimer(d *lm.Decoder, s profiles.Scenario, clock Clock) (*Timer, error) {
	if err := d.Prepare(s.PromptTokens, s.NewTokens); err != nil {
		return nil, fmt.Errorf("preparing scenario %s: %w", s.Name, err)
	}
	return &Timer{d: d, clock: clock, next: make([]int64, s.Batch), marks: make([]time.Duration, s.NewTokens)}, nil
}

// Measure runs one request: the prompts, all of the scenario's length, then
// greedy tokens until there are NewTokens. Only the loop itself is timed. A
// failure is part of the sample.
func (t *Timer) Measure(s profiles.Scenario, prompts [][]int64) Sample {
	sample := Sample{Scenario: s.Name, Mode: Cached, Batch: s.Batch, PromptTokens: s.PromptTokens, NewTokens: s.NewTokens}
	start, err := t.loop(prompts)
	if err != nil {
		sample.Failure = Classify(err)
		return sample
	}
	sample.TTFT = ms(t.marks[0] - start)
	sample.E2E = ms(t.marks[len(t.marks)-1] - start)
	for i := 1; i < len(t.marks); i++ {
		sample.Gaps = append(sample.Gaps, ms(t.marks[i]-t.marks[i-1]))
	}
	return sample
}

// loop is what is timed. It allocates nothing.
func (t *Timer) loop(prompts [][]int64) (start time.Duration, err error) {
	start = t.clock()
	logits, err := t.d.Prefill(prompts)
	for i := range t.marks {
		if i > 0 {
			logits, err = t.d.Step(t.next)
		}
		if err != nil {
			return start, err
		}
		if !logits.Greedy(t.next) {
			return start, errNonFinite
		}
		t.marks[i] = t.clock()
	}
	return start, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Prompts are the rows that a scenario submits: consecutive pieces of text (token
// ids), from its beginning again where it is short. Without text they are
// uniform over vocab, the same for the same seed.
func Prompts(s profiles.Scenario, text []int64, vocab int, seed uint64) [][]int64 {
	r := rand.New(rand.NewPCG(seed, 0))
	rows := make([][]int64, s.Batch)
	for b := range rows {
		rows[b] = make([]int64, s.PromptTokens)
		for i := range rows[b] {
			if len(text) > 0 {
				rows[b][i] = text[(b*s.PromptTokens+i)%len(text)]
			} else {
				rows[b][i] = r.Int64N(int64(vocab))
			}
		}
	}
	return rows
}
