package jobs

import (
	"time"

	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
)

// timed is a session that keeps the time spent in the runtime.
type timed struct {
	lm.Around
	run time.Duration
}

// Bind is the session's with its runs timed.
func (t *timed) Bind(in, out []onnx.Tensor) (lm.Bound, error) {
	b, err := t.Session.Bind(in, out)
	if err != nil {
		return nil, err
	}
	return &timedBound{b, t}, nil
}

type timedBound struct {
	lm.Bound
	t *timed
}

func (b *timedBound) Run() error {
	start := time.Now()
	err := b.Bound.Run()
	b.t.run += time.Since(start)
	return err
}
