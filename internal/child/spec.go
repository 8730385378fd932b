package child

import (
	"io"
	"time"
)

// Spec says what to start and when to give up on it. Zero durations and a zero
// memory limit mean the defaults; negative ones mean no limit.
type Spec struct {
	Name string   // what messages call the process: "ort", "rtx"
	Path string   // the executable
	Args []string // without the executable's own name
	Env  []string // KEY=VALUE, added to the parent's environment
	Dir  string   // working directory; the parent's where empty

	// Log gets the child's stderr without ANSI escapes: the first 32 MiB as
	// they come and the last 32 MiB when it has ended. Nil discards it.
	Log io.Writer

	Start   time.Duration // until ready; 60 s
	Silence time.Duration // without a byte from the child; 30 s
	Run     time.Duration // for one job; 10 min
	Grace   time.Duration // between SIGTERM and SIGKILL; 5 s
	Memory  int64         // resident bytes of the process tree; 80 % of what the machine or cgroup has
}

// The defaults of Spec.
const (
	DefaultStart   = 60 * time.Second
	DefaultSilence = 30 * time.Second
	DefaultRun     = 10 * time.Minute
	DefaultGrace   = 5 * time.Second
)

const (
	heartbeat = 2 * time.Second        // how often a child says that it lives
	sample    = 500 * time.Millisecond // how often its memory is read
)

func (s Spec) withDefaults() Spec {
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&s.Start, DefaultStart}, {&s.Silence, DefaultSilence}, {&s.Run, DefaultRun}, {&s.Grace, DefaultGrace}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if s.Memory == 0 {
		s.Memory = DefaultMemory()
	}
	return s
}

// after calls f once d has passed, unless d is no limit; stop prevents it.
func after(d time.Duration, f func()) (stop func()) {
	if d < 0 {
		return func() {}
	}
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}
