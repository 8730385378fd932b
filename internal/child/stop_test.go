package child

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// state is the letter by which the kernel calls what a process does.
func state(t *testing.T, pid int) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return rest[:1]
}

// A halted child takes no time, is not taken for dead, and goes on where it was.
func TestStopAndContinue(t *testing.T) {
	c := start(t, func(s *Spec) { s.Silence = 400 * time.Millisecond })
	c.Stop()
	time.Sleep(time.Second)
	if got := state(t, c.PID()); got != "T" || !c.Alive() {
		t.Errorf("a halted child is in state %s, alive %v", got, c.Alive())
	}
	c.Continue()
	var said string
	if err := c.Call(t.Context(), "echo", "here", &said, nil); err != nil || said != "here" {
		t.Errorf("after going on it says %q, %v", said, err)
	}
}

// One that is halted still ends when it is asked to.
func TestCloseWhileHalted(t *testing.T) {
	c := start(t, nil)
	c.Stop()
	begun := time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("it took %s to end", took)
	}
}

// A halted child does not outlive a parent that is killed: its group is orphaned,
// and the kernel sends it SIGHUP and SIGCONT.
func TestParentKilledWhileHalted(t *testing.T) {
	spec := self("parent that stops")
	cmd := exec.Command(spec.Path, spec.Args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var child, parent int
	if _, err := fmt.Sscan(line, &child, &parent); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	mustBeGone(t, child)
}
