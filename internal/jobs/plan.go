package jobs

import (
	"context"
	"fmt"

	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/validate"
)

// logitsRequest asks the worker of plans for the logits of windows of one length.
type logitsRequest struct {
	Model
	Windows [][]int `json:"windows"`
	Prompt  int     `json:"prompt"` // columns of the first pass; the others go one by one
}

// ScorePlan is [Score] for a plan, through the worker that runs plans (worker.Plan): it
// has the device and gives logits, and what they are worth is found here, by the
// code that judges every engine. A batch of windows crosses the pipe at a time.
func ScorePlan(ctx context.Context, c Caller, r ScoreRequest, p progress.Counter) (*validate.Score, error) {
	return r.judged(func(windows []validate.Window, a *validate.Accumulator) error {
		p.SetMax(int64(len(windows)))
		for _, g := range Groups(r.Convention, len(r.IDs), len(windows), r.Batch) {
			if err := r.planGroup(ctx, c, windows, g, a); err != nil {
				return fmt.Errorf("scoring windows %d to %d: %w", g[0], g[len(g)-1], err)
			}
			p.Set(int64(g[len(g)-1] + 1))
		}
		return nil
	})
}

// planGroup scores windows that run together.
func (r ScoreRequest) planGroup(ctx context.Context, c Caller, windows []validate.Window, g []int, a *validate.Accumulator) error {
	first := windows[g[0]]
	length := first.Length - 1 // the last token of a window is only predicted, never fed
	request := logitsRequest{Model: r.Model, Prompt: length}
	if r.Phase == Decode {
		request.Prompt = min(max(r.Prompt, first.First+1), length)
	}
	for _, w := range g {
		request.Windows = append(request.Windows, windows[w].IDs[:length])
	}
	l, err := request.logits(ctx, c)
	if err != nil {
		return err
	}
	var add []validate.Position
	for b, w := range g {
		for t := first.First; t < length; t++ {
			add = append(add, validate.Position{Window: w, At: t, Logits: l.Row(b, t)})
		}
	}
	return a.Add(add...)
}
