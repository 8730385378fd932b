package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/validate"
)

// The two ways in which logits come about.
const (
	Prefill = "prefill" // every window in one pass
	Decode  = "decode"  // token by token, with the cache of keys and values
)

// defaultBatch is how many windows run together unless asked otherwise.
const defaultBatch = 4

// ScoreRequest asks for the score of a text.
type ScoreRequest struct {
	Model
	IDs        []int               `json:"ids"` // of the whole text
	Convention validate.Convention `json:"convention"`
	Bundle     string              `json:"bundle,omitempty"`  // directory of the reference; empty: negative log likelihoods alone
	Phase      string              `json:"phase"`             // Prefill or Decode
	Batch      int                 `json:"batch,omitempty"`   // windows that run together; 4 where 0
	Windows    int                 `json:"windows,omitempty"` // only the first so many; all where 0
	Prompt     int                 `json:"prompt,omitempty"`  // Decode: tokens of the prefill before the first step; 1 where 0
}

// Score runs a text through a model and compares each position with the
// reference. Memory is that of one batch of windows, whatever the text's length.
func Score(ctx context.Context, c Caller, r ScoreRequest, p progress.Counter) (*validate.Score, error) {
	s := &validate.Score{}
	if err := c.Call(ctx, scoreJob, r, s, p); err != nil {
		return nil, err
	}
	return s, nil
}

func score(_ context.Context, call *child.Call) (any, error) {
	var r ScoreRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	windows, err := r.check()
	if err != nil {
		return nil, err
	}
	var bundle *validate.Bundle
	if r.Bundle != "" {
		if bundle, err = validate.Read(r.Bundle); err != nil {
			return nil, err
		}
	}
	a, err := validate.NewAccumulator(windows, bundle, r.Phase)
	if err != nil {
		return nil, err
	}
	err = r.with(func(s *ort.Session, _ time.Duration) error {
		return (&scorer{r: r, session: s, windows: windows, a: a, p: call.Progress}).all()
	})
	if err != nil {
		return nil, err
	}
	return a.Score()
}

// check fills in defaults and gives the windows to score.
func (r *ScoreRequest) check() ([]validate.Window, error) {
	if err := r.needContract(scoreJob); err != nil {
		return nil, err
	}
	if r.Phase != Prefill && r.Phase != Decode {
		return nil, fmt.Errorf("job %s: %q is neither %s nor %s", scoreJob, r.Phase, Prefill, Decode)
	}
	if r.Phase == Prefill && r.Contract.Logits == "last" {
		return nil, fault.New(fault.Input, "scoring", r.Path, "the graph answers the last position only", "export it with --logits all")
	}
	if r.Batch < 1 {
		r.Batch = defaultBatch
	}
	if r.Prompt < 1 {
		r.Prompt = 1
	}
	windows := r.Convention.Windows(r.IDs)
	if r.Windows > 0 && r.Windows < len(windows) {
		windows = windows[:r.Windows]
	}
	return windows, nil
}

// scorer feeds windows, a batch at a time.
type scorer struct {
	r       ScoreRequest
	session *ort.Session
	windows []validate.Window
	a       *validate.Accumulator
	p       progress.Counter
}

func (s *scorer) all() error {
	s.p.SetMax(int64(len(s.windows)))
	full := len(s.windows) / s.r.Batch * s.r.Batch
	if err := s.batches(0, full, s.r.Batch); err != nil {
		return err
	}
	return s.batches(full, len(s.windows), len(s.windows)-full)
}

// batches scores windows from up to but not including to, batch at a time, on a
// decoder of that batch.
func (s *scorer) batches(from, to, batch int) error {
	if from == to {
		return nil
	}
	// The last token of a window is only predicted, never fed.
	length := s.windows[from].Rows()
	d, err := lm.NewDecoder(s.session, s.r.Contract, lm.Options{Batch: batch, Capacity: length})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	prompt := length
	if s.r.Phase == Decode {
		prompt = min(s.r.Prompt, length)
	}
	if err := d.Prepare(prompt, length-prompt+1); err != nil {
		return err
	}
	for ; from < to; from += batch {
		if err := s.batch(d, from, prompt, length); err != nil {
			return fmt.Errorf("scoring windows %d to %d: %w", from, from+batch-1, err)
		}
		s.p.Set(int64(from + batch))
	}
	return nil
}

// batch scores the windows that begin at first: a prefill of prompt tokens, then
// a step for each token up to length.
func (s *scorer) batch(d *lm.Decoder, first, prompt, length int) error {
	var heads [][]int64
	for _, w := range s.windows[first:min(first+s.r.Batch, len(s.windows))] {
		heads = append(heads, wide(w.IDs[:prompt]))
	}
	logits, err := d.Prefill(heads)
	if err != nil {
		return err
	}
	if err := s.add(logits, first, prompt); err != nil {
		return err
	}
	next := make([]int64, len(heads))
	for t := prompt; t < length; t++ {
		for b := range next {
			next[b] = int64(s.windows[first+b].IDs[t])
		}
		if logits, err = d.Step(next); err != nil {
			return err
		}
		if err := s.add(logits, first, t+1); err != nil {
			return err
		}
	}
	return nil
}

// add hands over logits whose last position is the one after end tokens.
func (s *scorer) add(l lm.Logits, first, end int) error {
	for b := range l.Batch {
		for i := range l.Seq {
			if err := s.a.Add(first+b, end-l.Seq+i, l.Row(b, i)); err != nil {
				return err
			}
		}
	}
	return nil
}
