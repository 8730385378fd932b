package decorate

import (
	"context"
	"sync"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/progress"
)

// Admission lets builds begin. Enter waits until a build may, or until ctx ends; the
// caller calls leave when it is over.
type Admission interface {
	Enter(ctx context.Context, r engine.Request, waiting func()) (leave func(), err error)
}

// Limit lets the builds of b begin only as a admits them.
func Limit(b engine.Builder, a Admission) engine.Builder {
	return around{b, func(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
		leave, err := a.Enter(ctx, r, func() { p.Note("waiting for other builds") })
		if err != nil {
			return nil, err
		}
		defer leave()
		return b.Build(ctx, r, dir, p)
	}}
}

// poll is how often a waiting build asks again.
const poll = 50 * time.Millisecond

// GPU admits one build at a time among all processes that name the same lock file: a
// builder times kernels, and another one on the GPU makes it choose wrong ones.
func GPU(lock string) Admission { return gpu(lock) }

type gpu string

// Enter waits for the lock.
func (g gpu) Enter(ctx context.Context, _ engine.Request, waiting func()) (func(), error) {
	l, err := filelock.Wait(ctx, string(g), waiting)
	if err != nil {
		return nil, err
	}
	return l.Unlock, nil
}

// Memory admits builds of this process while what they need fits into what is
// available, and one at least: a build that needs more than there is runs alone, and
// its own limit ends it. Both functions count bytes.
type Memory struct {
	Available func() int64                 // -1 where it is not known: one build at a time
	Need      func(r engine.Request) int64 // of the builder's processes at their peak

	mu      sync.Mutex
	running int
	taken   int64 // by builds that were admitted
}

// Enter waits for memory.
func (m *Memory) Enter(ctx context.Context, r engine.Request, waiting func()) (func(), error) {
	need := m.Need(r)
	told := false
	for !m.admit(need) {
		if !told {
			told = true
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running, m.taken = m.running-1, m.taken-need
	}, nil
}

func (m *Memory) admit(need int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running > 0 && m.taken+need > m.Available() {
		return false
	}
	m.running, m.taken = m.running+1, m.taken+need
	return true
}
