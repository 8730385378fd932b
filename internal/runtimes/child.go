package runtimes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child that installs or verifies: not a worker, it speaks no
// protocol and is watched only through what it prints.
type process struct {
	path string
	args []string
	env  []string // added to the environment of installers
	log  io.Writer
	line func(string) // sees each line of standard output
}

// run runs p to its end and returns its standard output. Cancelling ctx kills
// its process group; our own death kills it too.
func (p process) run(ctx context.Context) (string, error) {
	type outcome struct {
		out string
		err error
	}
	done := make(chan outcome, 1)
	// The kernel sends Pdeathsig when the thread that forked ends, so that
	// thread must live as long as the child.
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		out, err := p.wait(ctx)
		done <- outcome{out, err}
	}()
	o := <-done
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return o.out, o.err
}

func (p process) wait(ctx context.Context) (string, error) {
	var out bytes.Buffer
	tail := &lastBytes{log: p.log, max: 16 << 10}
	cmd := exec.CommandContext(ctx, p.path, p.args...)
	cmd.Env = append(installerEnv(), p.env...)
	cmd.Stdout = io.MultiWriter(&out, tail, &lineWriter{each: p.line})
	cmd.Stderr = tail
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return killGroup(cmd) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting %s: %w", p.path, err)
	}
	err := cmd.Wait()
	_ = killGroup(cmd) // whatever it left behind; usually nothing
	if err != nil {
		return "", &childError{err: err, tail: tail.String()}
	}
	return out.String(), nil
}

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }

// childError is a child's bad end with the last it said.
type childError struct {
	err  error
	tail string
}

// Error is what the child itself called its errors, or else its last words.
func (e *childError) Error() string {
	lines := strings.Split(strings.TrimSpace(e.tail), "\n")
	var errs []string
	for _, line := range lines {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "ERROR: "); ok {
			errs = append(errs, text)
		}
	}
	if len(errs) == 0 {
		errs = lines[max(0, len(lines)-3):]
	}
	return strings.TrimSuffix(fmt.Sprintf("%v: %s", e.err, strings.TrimSpace(strings.Join(errs, "; "))), ": ")
}

func (e *childError) Unwrap() error { return e.err }

// installerEnv is our environment without what would send a Python or pip
// child elsewhere: into another prefix, a user's site, a dry run.
func installerEnv() []string {
	drop := []string{"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT",
		"PIP_DRY_RUN", "PIP_REPORT", "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON", "PIP_NO_BINARY", "PIP_QUIET", "PIP_VERBOSE"}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(drop, name)
	})
	return append(env, "PYTHONNOUSERSITE=1", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1", "PIP_PROGRESS_BAR=off",
		"PIP_ROOT_USER_ACTION=ignore", "LC_ALL=C.UTF-8")
}

// lastBytes passes what is written on to a log and keeps its end. Both streams
// of a child write to it.
type lastBytes struct {
	mu  sync.Mutex
	log io.Writer
	buf []byte
	max int
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log != nil {
		_, _ = l.log.Write(p) // a full disk must not look like the child's failure
	}
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - l.max; over > 0 {
		l.buf = slices.Delete(l.buf, 0, over)
	}
	return len(p), nil
}

func (l *lastBytes) String() string { return string(l.buf) }

// lineWriter hands each whole line to a function.
type lineWriter struct {
	each func(string)
	part []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	if w.each == nil {
		return len(p), nil
	}
	w.part = append(w.part, p...)
	for {
		line, rest, found := bytes.Cut(w.part, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.each(string(line))
		w.part = rest
	}
}
