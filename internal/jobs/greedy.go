package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/validate"
)

// GreedyRequest asks how far an engine continues the text as the reference did.
type GreedyRequest struct {
	Model
	Prompts [][]int `json:"prompts"`
	Want    [][]int `json:"want"` // the reference's continuation of each, all of one length
}

// NewGreedy asks for continuations of the stretches of a text that the reference has
// continued.
func NewGreedy(m Model, ids []int, g validate.Greedy) (GreedyRequest, error) {
	r := GreedyRequest{Model: m, Want: g.IDs}
	for _, at := range g.Begins {
		if at < 0 || g.PromptTokens < 1 || at+g.PromptTokens > len(ids) || len(g.IDs) != len(g.Begins) {
			return r, fault.New(fault.Input, "continuing", m.Path, fmt.Sprintf("a prompt of %d tokens from %d on is not in a text of %d", g.PromptTokens, at, len(ids)), "record the reference again for this text")
		}
		r.Prompts = append(r.Prompts, ids[at:at+g.PromptTokens])
	}
	return r, nil
}

// Greedy is the number of tokens of each continuation, from the first on, that
// are the reference's.
func Greedy(ctx context.Context, c Caller, r GreedyRequest, p progress.Counter) (lengths []int, err error) {
	if isPlan(r.Model) {
		return r.follow(across(ctx, c, r.Model), p)
	}
	err = c.Call(ctx, greedyJob, r, &lengths, p)
	return lengths, err
}

func greedy(_ context.Context, call *child.Call) (any, error) {
	var r GreedyRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	return r.follow(r.here, call.Progress)
}

// follow continues every prompt on a session.
func (r GreedyRequest) follow(open opener, p progress.Counter) ([]int, error) {
	if err := r.needContract(greedyJob); err != nil {
		return nil, err
	}
	lengths := make([]int, len(r.Prompts))
	p.SetMax(int64(len(lengths)))
	if len(lengths) == 0 {
		return lengths, nil
	}
	return lengths, open(func(s lm.Session, _ time.Duration) error {
		// One at a time: how far two engines agree must not hang on what runs beside.
		d, err := lm.NewDecoder(s, r.Contract, lm.Options{Batch: 1, Capacity: len(r.Prompts[0]) + len(r.Want[0]) - 1})
		if err != nil {
			return err
		}
		defer func() { _ = d.Close() }()
		for i, prompt := range r.Prompts {
			if lengths[i], err = follow(d, wide(prompt), r.Want[i]); err != nil {
				return err
			}
			p.Set(int64(i + 1))
		}
		return nil
	})
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
