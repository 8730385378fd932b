package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestComputingEndsAtOnce stops a command that waits for input which never ends,
// as another waits for a long loop: it owns nothing that would have to be tidied.
func TestComputingEndsAtOnce(t *testing.T) {
	program := filepath.Join(t.TempDir(), "trtforge")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command(program, "explain", "-")
		c.Stdin = r
		var said strings.Builder
		c.Stderr = &said
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // until it reads
		_ = c.Process.Signal(signal)
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != want {
				t.Errorf("after %v: %v, want exit status %d", signal, err, want)
			}
			if strings.Contains(said.String(), "go on") {
				t.Errorf("it promises to go on where it stopped, and cannot: %s", said.String())
			}
		case <-time.After(5 * time.Second):
			_ = c.Process.Kill()
			t.Errorf("5 s after %v it still runs", signal)
		}
		_, _ = r.Close(), w.Close()
	}
}
