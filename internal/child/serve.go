package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Job does one job in a child. What it returns goes back as JSON; an error goes
// back with its class, place and remedy where it is a *fault.Error. ctx is
// never cancelled: a parent that loses interest kills the process. A panic
// kills it too, and the parent says so.
type Job func(ctx context.Context, call *Call) (any, error)

// Call is one job seen from the child.
type Call struct {
	Name     string
	Request  json.RawMessage
	Tensors  []onnx.Tensor
	Progress progress.Counter

	replies []onnx.Tensor
}

// Decode reads the request.
func (c *Call) Decode(into any) error {
	if err := json.Unmarshal(c.Request, into); err != nil {
		return fmt.Errorf("reading the request of job %s: %w", c.Name, err)
	}
	return nil
}

// Reply adds tensors that go back with the result.
func (c *Call) Reply(tensors ...onnx.Tensor) { c.replies = append(c.replies, tensors...) }

// Server is the child's end of the pipe.
type Server struct {
	Name    string // what hello says; the executable's name where empty
	Version string
	Jobs    map[string]Job
	// Prepare runs between hello and ready: the place for loading libraries.
	// What it returns goes to [Child.Facts].
	Prepare func() (facts any, err error)
}

// Run serves jobs one after the other. It takes over descriptors 0, 1 and 3,
// and ends the process, with everything in its group, when stdin ends. It
// returns, with an exit status, only if it could not begin.
func (s Server) Run() int {
	w, err := takeOver()
	if err != nil {
		fmt.Fprintln(os.Stderr, "serving jobs:", err)
		return 1
	}
	if s.Name == "" {
		s.Name = filepath.Base(os.Args[0])
	}
	w.send(&message{Type: "hello", Name: s.Name, Version: s.Version, Protocol: protocol, PID: os.Getpid()}, nil)
	todo := make(chan *message, 1)
	go w.receive(todo)
	go w.beat()
	facts, err := s.prepare()
	if err != nil {
		w.send(errorMessage(0, err), nil)
		return 1
	}
	w.send(&message{Type: "ready", Facts: facts}, nil)
	for m := range todo {
		s.run(w, m)
	}
	return 1
}

func (s Server) prepare() (json.RawMessage, error) {
	if s.Prepare == nil {
		return nil, nil
	}
	facts, err := s.Prepare()
	if err != nil {
		return nil, err
	}
	return json.Marshal(facts)
}

func (s Server) run(w *wire, m *message) {
	tensors, err := readTensors(w.tensors, m.Tensors)
	if err != nil {
		w.lost(err)
	}
	call := &Call{Name: m.Job, Request: m.Request, Tensors: tensors, Progress: &sender{wire: w, id: m.ID}}
	result, err := s.do(call)
	if err != nil {
		w.send(errorMessage(m.ID, err), nil)
		return
	}
	w.send(&message{Type: "result", ID: m.ID, Result: result, Tensors: announce(call.replies)}, call.replies)
}

func (s Server) do(call *Call) (json.RawMessage, error) {
	job, ok := s.Jobs[call.Name]
	if !ok {
		var names []string
		for name := range s.Jobs {
			names = append(names, name)
		}
		slices.Sort(names)
		return nil, fault.New(fault.Usage, "running job", call.Name, "no job has this name; there are "+strings.Join(names, ", "), "")
	}
	result, err := job(context.Background(), call)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encoding the result of job %s: %w", call.Name, err)
	}
	if len(body) > MaxFrame-1<<20 {
		return nil, fmt.Errorf("job %s: a result of %d bytes is too long for a frame", call.Name, len(body))
	}
	return body, nil
}

// wire is the child's descriptors.
type wire struct {
	in, out, tensors *os.File
	mu               sync.Mutex
}

// takeOver moves stdin and stdout out of the reach of libraries: what prints
// to descriptor 1 afterwards lands in stderr.
func takeOver() (*wire, error) {
	in, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 4)
	if err != nil {
		return nil, fmt.Errorf("duplicating stdin: %w", err)
	}
	out, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 4)
	if err != nil {
		return nil, fmt.Errorf("duplicating stdout: %w", err)
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	if err := errors.Join(unix.Dup3(null, 0, 0), unix.Dup3(2, 1, 0), unix.Close(null)); err != nil {
		return nil, fmt.Errorf("redirecting stdin and stdout: %w", err)
	}
	unix.CloseOnExec(3)
	return &wire{in: os.NewFile(uintptr(in), "stdin"), out: os.NewFile(uintptr(out), "stdout"),
		tensors: os.NewFile(3, "tensors")}, nil
}

// send writes a frame and its tensors; heartbeats wait, but the parent hears
// the tensors.
func (w *wire) send(m *message, tensors []onnx.Tensor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := writeMessage(w.out, m)
	if err == nil {
		err = writeTensors(w.tensors, tensors)
	}
	if err != nil {
		w.lost(err)
	}
}

func (w *wire) receive(todo chan<- *message) {
	r := bufio.NewReader(w.in)
	for {
		m, err := readMessage(r)
		if err != nil {
			w.lost(err)
		}
		if m.Type == "job" {
			todo <- m
		}
	}
}

func (w *wire) beat() {
	for {
		time.Sleep(heartbeat)
		w.send(&message{Type: "heartbeat"}, nil)
	}
}

// lostLine begins what a child says of a broken pipe.
const lostLine = "lost the parent:"

// lost ends the process at once: the parent has closed the pipe or died, and
// nobody is left to work for. What it started itself goes with it, if the
// group is its own.
func (w *wire) lost(err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, unix.EPIPE) {
		fmt.Fprintln(os.Stderr, lostLine, err)
	}
	if unix.Getpgrp() == os.Getpid() {
		_ = unix.Kill(0, unix.SIGKILL)
	}
	os.Exit(1)
}
