package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Child is a running process. Its methods may be called from any goroutine.
type Child struct {
	spec    Spec
	cmd     *exec.Cmd
	in      *os.File // its stdin
	tensors *os.File // our end of its descriptor 3
	stderr  *capture
	begun   time.Time

	stopped atomic.Bool   // by Stop
	heard   atomic.Int64  // when a byte last came from it, since begun
	turn    chan struct{} // holds one token while a job runs
	ready   chan struct{} // closed once it takes jobs
	exited  chan struct{} // closed when the process has ended
	gone    chan struct{} // closed when its group is killed and its output read

	mu      sync.Mutex
	hello   *message
	facts   json.RawMessage
	refusal error // what it answered instead of ready
	ending  *ending
	job     *running
	lastID  int64
	held    int64 // resident bytes of the tree when last looked at
	reaped  bool
	logErr  error
}

// running is the job that a child is at.
type running struct {
	id    int64
	name  string
	meter *meter
	reply chan reply
}

type reply struct {
	message *message
	tensors []onnx.Tensor
}

// Name is the name that messages call it.
func (c *Child) Name() string { return c.spec.Name }

// PID is its process id, which is its process group's too.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Alive tells whether it can take another job.
func (c *Child) Alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.exited:
		return false
	default:
		return c.ending == nil
	}
}

// Facts decodes what the child said of itself when it got ready: versions,
// mostly.
func (c *Child) Facts(into any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.facts) == 0 {
		return nil
	}
	if err := json.Unmarshal(c.facts, into); err != nil {
		return fmt.Errorf("reading the facts of process %s: %w", c.spec.Name, err)
	}
	return nil
}

// Call runs a job: request goes over as JSON and the answer is decoded into
// result, which may be nil. p follows the job's progress. See CallTensors for
// the errors.
func (c *Child) Call(ctx context.Context, job string, request, result any, p progress.Counter) error {
	_, err := c.CallTensors(ctx, job, request, nil, result, p)
	return err
}

// CallTensors is Call with tensors in both directions. While another job runs
// it waits for its turn. What the job itself reports is a *fault.Error of the
// class that it chose; a child that dies is a fault.Runtime that holds a
// *[Death]; when ctx ends first, the child is killed and the error is ctx's.
func (c *Child) CallTensors(ctx context.Context, job string, request any, in []onnx.Tensor, result any, p progress.Counter) ([]onnx.Tensor, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("encoding the request of job %s: %w", job, err)
	}
	if err := c.takeTurn(ctx, job); err != nil {
		return nil, err
	}
	defer func() { <-c.turn }()

	r := c.begin(job, p)
	defer c.finish()
	defer context.AfterFunc(ctx, func() { c.end(cancelled(ctx)) })()
	defer after(c.spec.Run, func() { c.end(overtime(c.spec.Run)) })()

	m := &message{Type: "job", ID: r.id, Job: job, Request: body, Tensors: announce(in)}
	if err := c.submit(m, in); err != nil {
		return nil, err
	}
	answer, err := c.await(r)
	if err != nil {
		return nil, err
	}
	if answer.message.Type == "error" {
		return nil, answer.message.fault(job, c.spec.Name)
	}
	if result != nil {
		if err := json.Unmarshal(answer.message.Result, result); err != nil {
			return nil, fault.Wrap(fault.Runtime, "reading the result of job", job, err, "use a worker of the same version")
		}
	}
	return answer.tensors, nil
}

func (c *Child) takeTurn(ctx context.Context, job string) error {
	select {
	case <-ctx.Done():
		return cancelled(ctx).cause
	default:
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return cancelled(ctx).cause
	case <-c.gone:
		return c.death(job)
	}
}

func (c *Child) begin(job string, p progress.Counter) *running {
	if p == nil {
		p = progress.Noop
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	c.job = &running{id: c.lastID, name: job, meter: newMeter(p), reply: make(chan reply, 1)}
	return c.job
}

func (c *Child) finish() {
	c.measure()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.job = nil
}

// submit sends a job. A child that no longer listens is not this function's to
// explain: await does, once it is gone.
func (c *Child) submit(m *message, in []onnx.Tensor) error {
	err := writeMessage(c.in, m)
	var tooLong *framingError
	if errors.As(err, &tooLong) {
		return fault.Wrap(fault.Usage, "sending job", m.Job, err, "send large data as tensors or files")
	}
	if err == nil {
		err = writeTensors(c.tensors, in)
	}
	if err != nil {
		c.endUnlessExited(ending{what: "stopped listening to its stdin"})
	}
	return nil
}

func (c *Child) await(r *running) (reply, error) {
	select {
	case answer := <-r.reply:
		return answer, nil
	case <-c.gone:
	}
	select {
	case answer := <-r.reply: // its last words were the answer
		return answer, nil
	default:
		return reply{}, c.death(r.name)
	}
}

// Close ends the child: its stdin is closed, upon which it exits at once; one
// that does not is killed as Package child says. It returns when nothing of
// the child is left; the error is the log's first. Further calls do nothing.
func (c *Child) Close() error {
	c.mu.Lock()
	if c.ending == nil {
		c.ending = &ending{what: "was closed"}
	}
	_ = c.in.Close()
	c.mu.Unlock()
	c.Continue()
	select {
	case <-c.exited:
	case <-time.After(time.Second):
		c.kill(false)
	}
	<-c.gone
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.logErr
	c.logErr = nil
	if err != nil {
		return fmt.Errorf("writing the log of process %s: %w", c.spec.Name, err)
	}
	return nil
}
