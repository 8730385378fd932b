package decorate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/filelock"
)

// Memory admits builds, of all processes that name the same directory, while what they
// need together fits into a total; and one at least: a build that needs more than there
// is runs alone, and its own limit ends it. Both numbers are bytes.
//
// Each build under way holds the lock of a ticket that says what it needs. The kernel
// lets go of it when its process dies, so nobody waits for the dead. Memory that cannot
// keep tickets, as on a read-only disk, holds up nobody.
type Memory struct {
	Dir   string // of the tickets
	Total int64
	Need  func(r engine.Request) int64 // of the builder's processes at their peak
}

// Enter waits for memory.
func (m *Memory) Enter(ctx context.Context, r engine.Request, waiting func()) (leave func(), err error) {
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return func() {}, nil
	}
	need := m.Need(r)
	for told := false; ; told = true {
		leave, admitted := m.admit(need)
		if admitted {
			return leave, nil
		}
		if !told {
			waiting()
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(poll):
		}
	}
}

// admit writes a ticket where there is room for it. One process at a time looks.
func (m *Memory) admit(need int64) (leave func(), admitted bool) {
	door, err := filelock.Wait(context.Background(), filepath.Join(m.Dir, "door"), func() {})
	if err != nil {
		return func() {}, true
	}
	defer door.Unlock()
	if builds, taken := m.taken(); builds > 0 && taken+need > m.Total {
		return nil, false
	}
	f, err := os.CreateTemp(m.Dir, fmt.Sprintf("ticket-%d-*", need))
	if err != nil {
		return func() {}, true
	}
	_ = f.Close()
	ticket, err := filelock.Try(f.Name())
	if ticket == nil || err != nil {
		return func() {}, true
	}
	return func() {
		_ = os.Remove(f.Name()) // while it is held: nobody else's
		ticket.Unlock()
	}, true
}

// taken counts the builds under way and what they need, and removes the tickets of the
// dead.
func (m *Memory) taken() (builds int, sum int64) {
	tickets, _ := filepath.Glob(filepath.Join(m.Dir, "ticket-*"))
	for _, path := range tickets {
		if l, err := filelock.Try(path); l != nil && err == nil {
			_ = os.Remove(path)
			l.Unlock()
			continue
		}
		var need int64
		_, _ = fmt.Sscanf(filepath.Base(path), "ticket-%d-", &need)
		builds, sum = builds+1, sum+need
	}
	return builds, sum
}
