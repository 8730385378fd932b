package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

func TestCallTensors(t *testing.T) {
	c := start(t, nil)
	in := []onnx.Tensor{
		floats("big", 5<<20), // 20 MiB: two chunks
		{Name: "empty", Type: onnx.Float16, Dims: []int64{1, 4, 0, 8}},
		{Name: "scalar", Type: onnx.Int64, Dims: []int64{}, Bytes: []byte{7, 0, 0, 0, 0, 0, 0, 0}},
	}
	var got struct{ N int }
	out, err := c.CallTensors(t.Context(), "echo", map[string]int{"N": 5}, in, &got, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.N != 5 {
		t.Errorf("result is %+v", got)
	}
	for i, want := range in {
		if i >= len(out) || fmt.Sprint(out[i].Name, out[i].Type, out[i].Dims) != fmt.Sprint(want.Name, want.Type, want.Dims) || !bytes.Equal(out[i].Bytes, want.Bytes) {
			t.Fatalf("tensor %d came back changed", i)
		}
	}
	var facts struct{ Library string }
	if err := c.Facts(&facts); err != nil || facts.Library != "1.2.3" {
		t.Errorf("facts are %+v, %v", facts, err)
	}
	if peak := TreePeak(c.PID()); peak < 20<<20 {
		t.Errorf("peak is %d bytes, it held a tensor of 20 MiB", peak)
	}
}

func TestErrorsCrossThePipe(t *testing.T) {
	c := start(t, nil)
	var e *fault.Error
	err := c.Call(t.Context(), "fault", nil, nil, nil)
	if !errors.As(err, &e) || e.Code != fault.Input || e.Fix != "export it again" || err.Error() != "reading x.onnx: it is torn" {
		t.Errorf("fault became %v (%+v)", err, e)
	}
	err = c.Call(t.Context(), "wrapped", nil, nil, nil)
	if !errors.As(err, &e) || e.Code != fault.Usage || e.Fix != "give more" || !strings.Contains(err.Error(), "scoring: cutting text: too short") {
		t.Errorf("wrapped fault became %v", err)
	}
	if err = c.Call(t.Context(), "nonsense", nil, nil, nil); err == nil || !strings.Contains(err.Error(), "there are close pipe, echo") {
		t.Errorf("an unknown job gave %v", err)
	}
	var n int
	if err = c.Call(t.Context(), "ignore", nil, &n, nil); fault.Exit(err) != 5 {
		t.Errorf("a result of another type gave %v", err)
	}
	if !c.Alive() {
		t.Error("errors of jobs ended the child")
	}
}

// recorder writes down what a Counter is told.
type recorder struct {
	path string
	mu   *sync.Mutex
	log  *[]string
}

func (r recorder) note(f string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.log = append(*r.log, r.path+fmt.Sprintf(f, a...))
}
func (r recorder) SetMax(n int64)                   { r.note("max %d", n) }
func (r recorder) Set(n int64)                      { r.note("set %d", n) }
func (r recorder) Note(s string)                    { r.note("note %s", s) }
func (r recorder) Sub(name string) progress.Counter { r.path += name + "/"; return r }

func TestProgress(t *testing.T) {
	c := start(t, nil)
	var log []string
	if err := c.Call(t.Context(), "progress", nil, nil, recorder{mu: &sync.Mutex{}, log: &log}); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(log, ", ")
	for _, want := range []string{"max 3", "layers/first/max 10", "layers/first/note reading", "layers/first/set 10", "set 3"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in %s", want, all)
		}
	}
}

func TestCancel(t *testing.T) {
	c := start(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := c.Call(ctx, "sleep", nil, nil, nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if c.Alive() {
		t.Error("it is said to live")
	}
	mustBeGone(t, c.PID())
	if err := c.Call(t.Context(), "echo", nil, nil, nil); err == nil {
		t.Error("a dead child answers")
	}
}

func TestOneJobAtATime(t *testing.T) {
	c := start(t, nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := c.Call(t.Context(), "echo", 1, nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestLog(t *testing.T) {
	var log bytes.Buffer
	c := start(t, func(s *Spec) { s.Log = &log })
	if err := c.Call(t.Context(), "echo", 1, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if log.String() != "printed to stdout by a library\n" {
		t.Errorf("the log is %q", log.String())
	}
}

func TestCloseWhileAJobRuns(t *testing.T) {
	c := start(t, nil)
	time.AfterFunc(200*time.Millisecond, func() { _ = c.Close() })
	err := c.Call(t.Context(), "sleep", nil, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "was closed") {
		t.Errorf("got %v", err)
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	c := start(t, nil)
	if err := c.Call(t.Context(), "echo", 1, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(3 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines instead of %d", runtime.NumGoroutine(), before)
		}
	}
}

// TestParentKilled kills a parent by SIGKILL while its child is at a job and
// has a child of its own.
func TestParentKilled(t *testing.T) {
	spec := self("parent")
	parent := exec.Command(spec.Path, spec.Args...)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, grandchild int
	if _, err := fmt.Fscan(out, &pid, &grandchild); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) || !alive(grandchild) {
		t.Fatal("the child or its child does not run")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := parent.Wait(); err == nil {
		t.Fatal("the parent was not killed")
	}
	mustBeGone(t, pid)
	mustBeGone(t, grandchild)
}

func TestGrandchildDiesWithTheChild(t *testing.T) {
	c := start(t, nil)
	var pid int
	if err := c.Call(t.Context(), "grandchild", nil, &pid, nil); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, pid)
}
