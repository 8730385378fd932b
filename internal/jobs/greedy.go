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

// GreedyRequest asks how far an engine continues the text as the reference did.
type GreedyRequest struct {
	Model
	IDs    []int           `json:"ids"` // of the text
	Greedy validate.Greedy `json:"greedy"`
}

// Greedy is the number of tokens of each continuation, from the first on, that
// are the reference's.
func Greedy(ctx context.Context, c Caller, r GreedyRequest, p progress.Counter) (lengths []int, err error) {
	if isPlan(r.Path) {
		return greedyPlan(ctx, c, r, p)
	}
	err = c.Call(ctx, greedyJob, r, &lengths, p)
	return lengths, err
}

func greedy(_ context.Context, call *child.Call) (any, error) {
	var r GreedyRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	g := r.Greedy
	lengths := make([]int, len(g.Begins))
	call.Progress.SetMax(int64(len(lengths)))
	return lengths, r.with(func(s *ort.Session, _ time.Duration) error {
		// One at a time: how far two engines agree must not hang on what runs beside.
		d, err := lm.NewDecoder(s, r.Contract, lm.Options{Batch: 1, Capacity: g.PromptTokens + g.NewTokens - 1})
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		for i, at := range g.Begins {
			if lengths[i], err = follow(d, wide(r.IDs[at:at+g.PromptTokens]), g.IDs[i]); err != nil {
				return err
			}
			call.Progress.Set(int64(i + 1))
		}
		return nil
	})
}

// check holds the continuations to the text.
func (r *GreedyRequest) check() error {
	if err := r.needContract(greedyJob); err != nil {
		return err
	}
	g := r.Greedy
	for _, at := range g.Begins {
		if at < 0 || g.PromptTokens < 1 || at+g.PromptTokens > len(r.IDs) || len(g.IDs) != len(g.Begins) {
			return fault.New(fault.Input, "continuing", r.Path, fmt.Sprintf("a prompt of %d tokens from %d on is not in a text of %d", g.PromptTokens, at, len(r.IDs)), "record the reference again for this text")
		}
	}
	return nil
}

// follow continues a prompt as long as the most likely token is the one given.
func follow(d *lm.Decoder, prompt []int64, want []int) (int, error) {
	logits, err := d.Prefill([][]int64{prompt})
	next := make([]int64, 1)
	for n, id := range want {
		if err != nil {
			return 0, err
		}
		if !logits.Greedy(next) || next[0] != int64(id) {
			return n, nil
		}
		if n < len(want)-1 {
			logits, err = d.Step(next)
		}
	}
	return len(want), err
}
