package child

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
)

// Death is the end of a child that had not been asked to end.
type Death struct {
	Process string
	PID     int
	Job     string   // empty where it died between jobs or while starting
	Reason  string   // of what it died
	Limit   bool     // it was ended here, for a limit that it did not keep
	Stderr  []string // its last lines, the most telling first
}

// Error is one line.
func (d *Death) Error() string {
	text := fmt.Sprintf("process %s (pid %d) %s", d.Process, d.PID, d.Reason)
	if len(d.Stderr) > 0 {
		text += "; its stderr ends with: " + strings.Join(d.Stderr, " | ")
	}
	return text
}

// ending is why the parent ends a child.
type ending struct {
	what  string // continues "process ort (pid 7) ..."
	fix   string
	now   bool  // SIGKILL at once
	limit bool  // because of a limit, which it would run into again
	cause error // returned as it is instead of a Death
}

func cancelled(ctx context.Context) ending {
	cause := context.Cause(ctx)
	if cause != nil && !errors.Is(cause, ctx.Err()) {
		cause = errors.Join(ctx.Err(), cause)
	}
	return ending{what: "was cancelled", cause: cause}
}

func late(limit time.Duration) ending {
	return ending{what: fmt.Sprintf("was killed: it was not ready within %s", limit),
		fix: "run it again on a less busy machine; if it happens again, see its log", limit: true}
}

func overtime(limit time.Duration) ending {
	return ending{what: fmt.Sprintf("was killed: the job took longer than %s", limit),
		fix: "raise the timeout, or give it less to do", limit: true}
}

func silent(quiet time.Duration) ending {
	return ending{what: fmt.Sprintf("was killed: it said nothing for %s, a heartbeat is due every %s", quiet.Round(100*time.Millisecond), heartbeat),
		fix: "run it again; if it hangs again, see its log", limit: true}
}

// oversized ends a child at once: in the 5 s that SIGTERM grants it could take
// the rest of the machine.
func oversized(resident, limit int64) ending {
	return ending{what: fmt.Sprintf("was killed: its process tree held %s of memory, the limit is %s", size(resident), size(limit)),
		fix: "raise the memory limit, or use a smaller model, batch or length", now: true, limit: true}
}

// death explains the end of a child that is gone.
func (c *Child) death(job string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	said := c.stderr.lines()
	e := c.ending
	if e == nil {
		e = c.postMortem(said)
	}
	stage, subject := "running job", job
	if job == "" {
		stage, subject = "starting process", c.spec.Name
	}
	if e.cause != nil {
		return fmt.Errorf("%s %s: %w", stage, subject, e.cause)
	}
	d := &Death{Process: c.spec.Name, PID: c.PID(), Job: job, Reason: e.what, Limit: e.limit, Stderr: telling(said)}
	return fault.Wrap(fault.Runtime, stage, subject, d, e.fix)
}

// postMortem reads the exit status of a process that nobody here killed.
func (c *Child) postMortem(said []string) *ending {
	status, _ := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	crash := crashLine(said)
	switch {
	case status.Signaled() && status.Signal() == syscall.SIGKILL && lostParent(said):
		e := closedPipe()
		return &e
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		return &ending{
			what: fmt.Sprintf("was killed by SIGKILL from outside (it held %s when last looked at)", size(c.held)),
			fix:  "look whether the kernel ran out of memory (dmesg); if so, give it more, or use a smaller model, batch or length"}
	case status.Signaled() && native(status.Signal()):
		return &ending{what: fmt.Sprintf("crashed in native code: %s (%s)", unix.SignalName(status.Signal()), status.Signal()),
			fix: "see its log; if it crashes again, report it with that log"}
	case status.Signaled():
		return &ending{what: "was ended by " + unix.SignalName(status.Signal()) + " from outside", fix: "run it again"}
	case status.ExitStatus() != 0 && strings.HasPrefix(crash, "SIG"):
		name, _, _ := strings.Cut(crash, ":")
		return &ending{what: "crashed in native code: " + name, fix: "see its log; if it crashes again, report it with that log"}
	}
	return &ending{what: fmt.Sprintf("exited with status %d without an answer", status.ExitStatus()), fix: "see its log"}
}

func closedPipe() ending { return ending{what: "closed its end of the pipe"} }

// lostParent tells whether the child ended itself, as it does when its pipe
// breaks; whether it is that or the parent's notice that comes first is chance.
func lostParent(said []string) bool {
	return slices.ContainsFunc(said, func(line string) bool { return strings.HasPrefix(line, lostLine) })
}

func native(s syscall.Signal) bool {
	switch s {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGABRT, syscall.SIGTRAP, syscall.SIGSYS:
		return true
	}
	return false
}

// crashes begin the line that says what a dying runtime died of, Go's and
// Python's; registers and stacks follow.
var crashes = []string{"SIGSEGV: ", "SIGBUS: ", "SIGILL: ", "SIGFPE: ", "SIGABRT: ", "SIGTRAP: ",
	"panic: ", "fatal error: ", "Fatal Python error: ", "terminate called "}

func crashLine(said []string) string {
	for _, line := range said {
		for _, prefix := range crashes {
			if strings.HasPrefix(line, prefix) {
				return line
			}
		}
	}
	return ""
}

// telling are the few lines that go into a message: the crash, if one is seen,
// else the last three.
func telling(said []string) []string {
	lines := said[max(0, len(said)-3):]
	if crash := crashLine(said); crash != "" {
		lines = []string{crash}
	}
	short := make([]string, 0, len(lines))
	for _, l := range lines {
		if r := []rune(l); len(r) > 300 {
			l = string(r[:300]) + "..."
		}
		short = append(short, l)
	}
	return short
}

// size is a number of bytes for people.
func size(n int64) string {
	if n >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}
