package bench

import (
	"time"

	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
)

// meter is a session that adds up the time inside its bound runs: what is left of
// a request is the loop's own. It allocates nothing while a run is on.
type meter struct {
	lm.Session
	clock Clock
	spent time.Duration
}

// Bind binds a run that is timed.
func (m *meter) Bind(in, out []onnx.Tensor) (lm.Bound, error) {
	b, err := m.Session.Bind(in, out)
	if err != nil {
		return nil, err
	}
	return &metered{Bound: b, m: m}, nil
}

type metered struct {
	lm.Bound
	m *meter
}

// Run runs the graph and takes the time.
func (b *metered) Run() error {
	start := b.m.clock()
	err := b.Bound.Run()
	b.m.spent += b.m.clock() - start
	return err
}
