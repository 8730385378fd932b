package child

import (
	"strings"
	"sync"

	"github.com/trtforge/trtforge/internal/progress"
)

// meter passes progress frames on to a Counter and the parts below it.
type meter struct {
	mu    sync.Mutex
	parts map[string]*part
}

type part struct {
	counter progress.Counter
	total   int64
}

func newMeter(p progress.Counter) *meter {
	return &meter{parts: map[string]*part{"": {counter: p}}}
}

func (m *meter) report(f *message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.at(f.Path)
	if f.Total != p.total {
		p.total = f.Total
		p.counter.SetMax(f.Total)
	}
	p.counter.Set(f.Done)
	if f.Note != "" {
		p.counter.Note(f.Note)
	}
}

func (m *meter) at(path []string) *part {
	if len(path) == 0 {
		return m.parts[""]
	}
	key := strings.Join(path, "\x00")
	if p := m.parts[key]; p != nil {
		return p
	}
	last := len(path) - 1
	p := &part{counter: m.at(path[:last]).counter.Sub(path[last])}
	m.parts[key] = p
	return p
}
