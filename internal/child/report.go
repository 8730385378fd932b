package child

import (
	"errors"
	"sync"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

// sender is a Counter whose watcher is in the parent.
type sender struct {
	wire *wire
	id   int64
	path []string

	mu          sync.Mutex
	done, total int64
	sent        time.Time
}

// pause is the least time between two progress frames of one counter: nobody
// sees more, and a tight loop must not wait for the pipe.
const pause = 50 * time.Millisecond

// SetMax says how much there is to do.
func (s *sender) SetMax(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total = n
	s.send("")
}

// Set says how much is done; frames in quick succession are left out.
func (s *sender) Set(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = n
	if n == s.total || time.Since(s.sent) >= pause {
		s.send("")
	}
}

// Note says what is being done.
func (s *sender) Note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(text)
}

// Sub is a part of the work.
func (s *sender) Sub(name string) progress.Counter {
	return &sender{wire: s.wire, id: s.id, path: append(append([]string{}, s.path...), name)}
}

func (s *sender) send(note string) {
	s.sent = time.Now()
	s.wire.send(&message{Type: "progress", ID: s.id, Done: s.done, Total: s.total, Note: note, Path: s.path}, nil)
}

// errorMessage carries an error over the pipe with as much of its class, place
// and remedy as it has.
func errorMessage(id int64, err error) *message {
	m := &message{Type: "error", ID: id, Code: string(fault.Classify(err)), Cause: err.Error()}
	var known *fault.Error
	if errors.As(err, &known) {
		m.Fix = known.Fix
	}
	if known != nil && known == err { //nolint:errorlint // only an error without further wrapping is its own text
		m.Stage, m.Subject, m.Cause = known.Stage, known.Subject, known.Reason()
	}
	return m
}

// fault is the error that an error frame carries.
func (m *message) fault(job, process string) error {
	code := fault.Code(m.Code)
	switch code {
	case fault.Input, fault.Usage, fault.Missing, fault.Gate:
	default:
		code = fault.Runtime
	}
	stage, subject := m.Stage, m.Subject
	switch {
	case stage != "" || subject != "":
	case job == "":
		stage, subject = "starting process", process
	default:
		stage, subject = "running job", job
	}
	return fault.New(code, stage, subject, m.Cause, m.Fix)
}
