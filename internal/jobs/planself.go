package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/validate"
)

// The worker of plans gives logits; what greedy text and invariance are of them is
// found here.

// logits are those of windows of one length: a pass over prompt tokens, then token by
// token.
func (r logitsRequest) logits(ctx context.Context, c Caller) (lm.Logits, error) {
	out, err := c.CallTensors(ctx, "logits", r, nil, nil, progress.Noop)
	if err != nil {
		return lm.Logits{}, err
	}
	l := lm.Logits{Batch: len(r.Windows), Seq: len(r.Windows[0]), Vocab: r.Contract.Vocab}
	if len(out) != 1 || out[0].Type != onnx.Float32 || len(out[0].Bytes) != 4*l.Batch*l.Seq*l.Vocab {
		return l, fault.New(fault.Runtime, "scoring", r.Path, fmt.Sprintf("the worker gave %d tensors, not logits of %d windows of %d tokens over %d", len(out), l.Batch, l.Seq, l.Vocab), "report this")
	}
	l.Data, err = out[0].Float32s()
	return l, err
}

// greedyPlan is [Greedy] for a plan. It is fed the reference's own tokens, which
// changes nothing up to the first that it would not have taken.
func greedyPlan(ctx context.Context, c Caller, r GreedyRequest, p progress.Counter) ([]int, error) {
	lengths := make([]int, len(r.Prompts))
	p.SetMax(int64(len(lengths)))
	for i, prompt := range r.Prompts {
		want := r.Want[i]
		window := slices.Concat(prompt, want[:len(want)-1])
		l, err := logitsRequest{Model: r.Model, Windows: [][]int{window}, Prompt: len(prompt)}.logits(ctx, c)
		if err != nil {
			return nil, err
		}
		for n, id := range want {
			if lm.Argmax(l.Row(0, len(prompt)-1+n)) != int64(id) {
				break
			}
			lengths[i]++
		}
		p.Set(int64(i + 1))
	}
	return lengths, nil
}

// invariancePlan is [Invariance] for a plan, of what runs beside a row: the worker
// pads nothing.
func invariancePlan(ctx context.Context, c Caller, r InvarianceRequest) (*validate.Invariance, error) {
	if err := r.fill(); err != nil {
		return nil, err
	}
	var windows [][]int
	for i := range r.Rows {
		at := r.begin(i)
		windows = append(windows, r.IDs[at:at+r.Length+r.Steps])
	}
	run := func(windows [][]int) (lm.Logits, error) {
		return logitsRequest{Model: r.Model, Windows: windows, Prompt: r.Length}.logits(ctx, c)
	}
	together, err := run(windows)
	if err != nil {
		return nil, err
	}
	v := &validate.Invariance{}
	for i := range windows {
		alone, err := run(windows[i : i+1])
		if err != nil {
			return nil, err
		}
		for t := range alone.Seq {
			most := &v.BatchPrefill
			if t >= r.Length {
				most = &v.BatchDecode
			}
			*most = max(*most, distance(alone.Row(0, t), together.Row(i, t)))
		}
	}
	return v, nil
}
