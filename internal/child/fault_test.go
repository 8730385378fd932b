package child

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
)

// TestDeaths injects a fault into a job and looks at what the parent says.
func TestDeaths(t *testing.T) {
	for _, c := range []struct {
		job    string
		change func(*Spec)
		want   []string
	}{
		{"kill", nil, []string{"SIGKILL from outside", "out of memory"}},
		{"segfault", nil, []string{"crashed in native code: SIGSEGV"}},
		{"panic", nil, []string{"panic: bug in a job"}},
		{"exit", nil, []string{"exited with status 0 without an answer"}},
		{"torn", nil, []string{"exited with status 0 without an answer"}},
		{"close pipe", nil, []string{"closed its end of the pipe"}},
		{"garbage", nil, []string{"broke the rules of the pipe", `not JSON....`}},
		{"oversized", nil, []string{"broke the rules of the pipe", "4294967295 bytes", "67108864"}},
		{"stop", func(s *Spec) { s.Silence = time.Second }, []string{"said nothing for 1", "heartbeat is due every 2s"}},
		{"sleep", func(s *Spec) { s.Run = 300 * time.Millisecond }, []string{"took longer than 300ms", "raise the timeout"}},
		{"stubborn", func(s *Spec) { s.Run = 300 * time.Millisecond }, []string{"took longer than 300ms"}},
		{"memory", func(s *Spec) { s.Memory = 200 << 20 }, []string{"MiB of memory, the limit is 200 MiB", "raise the memory limit"}},
	} {
		t.Run(c.job, func(t *testing.T) {
			t.Parallel()
			child := start(t, c.change)
			err := child.Call(t.Context(), c.job, nil, nil, nil)
			var e *fault.Error
			var d *Death
			if !errors.As(err, &e) || !errors.As(err, &d) || fault.Exit(err) != 5 {
				t.Fatalf("got %v", err)
			}
			if d.Job != c.job || d.PID != child.PID() || d.Process != "test" {
				t.Errorf("the dead is %+v", d)
			}
			text := err.Error() + "\n" + e.Fix
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is missing in: %s", want, text)
				}
			}
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("not one plain line: %q", err)
			}
			mustBeGone(t, child.PID())
		})
	}
}

// TestStarts has children that never get ready.
func TestStarts(t *testing.T) {
	for _, c := range []struct {
		mode string
		code fault.Code
		want string
	}{
		{"garbage", fault.Runtime, `broke the rules of the pipe`},
		{"not hello", fault.Runtime, `began with a "ready" frame`},
		{"exits", fault.Runtime, "exited with status 7 without an answer; its stderr ends with: cannot find my configuration"},
		{"silent start", fault.Runtime, "not ready within 500ms"},
		{"refuses", fault.Missing, "loading libthing.so: no such library"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			spec := self(c.mode)
			if c.mode == "silent start" {
				spec.Start = 500 * time.Millisecond
			}
			child, err := Start(t.Context(), spec)
			if err == nil {
				_ = child.Close()
				t.Fatal("it started")
			}
			if fault.Classify(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v of class %s", err, fault.Classify(err))
			}
		})
	}
}

// TestCrashBySignal has a process that, unlike Go's, does not catch SIGSEGV.
func TestCrashBySignal(t *testing.T) {
	_, err := Start(t.Context(), Spec{Name: "test", Path: "/bin/sh", Args: []string{"-c", "echo oops >&2; kill -SEGV $$"}})
	if err == nil || !strings.Contains(err.Error(), "crashed in native code: SIGSEGV (segmentation fault); its stderr ends with: oops") {
		t.Errorf("got %v", err)
	}
}

func TestStartMissingProgram(t *testing.T) {
	_, err := Start(t.Context(), Spec{Name: "test", Path: "/nonexistent/program"})
	if fault.Exit(err) != 3 {
		t.Errorf("got %v", err)
	}
}

func TestStartCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, self("silent start")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
