package worker

import (
	"context"
	"sync"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Client runs jobs in one worker, which it starts at the first job and again after a
// death, as ort.Client does. Close it.
type Client struct {
	Kind    Kind
	Options Options

	mu sync.Mutex
	c  *child.Child
}

// Call runs a job; see child.Child.Call for its errors.
func (c *Client) Call(ctx context.Context, job string, request, result any, p progress.Counter) error {
	_, err := c.CallTensors(ctx, job, request, nil, result, p)
	return err
}

// CallTensors is Call with tensors in both directions.
func (c *Client) CallTensors(ctx context.Context, job string, request any, in []onnx.Tensor, result any, p progress.Counter) ([]onnx.Tensor, error) {
	running, err := c.running(ctx)
	if err != nil {
		return nil, err
	}
	return running.CallTensors(ctx, job, request, in, result, p)
}

// Stop halts the worker until Continue; see child.Child.Stop. Where there is none it
// does nothing.
func (c *Client) Stop() { c.each((*child.Child).Stop) }

// Continue lets the worker go on.
func (c *Client) Continue() { c.each((*child.Child).Continue) }

// PID is the worker's process id; 0 where there is none.
func (c *Client) PID() (pid int) {
	c.each(func(running *child.Child) { pid = running.PID() })
	return pid
}

func (c *Client) each(do func(*child.Child)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c != nil {
		do(c.c)
	}
}

// Peak is the largest memory of the present worker's process tree, in bytes.
func (c *Client) Peak() (bytes int64) {
	c.each(func(running *child.Child) { bytes = running.Peak() })
	return bytes
}

// Close ends the worker. The client may be used again afterwards.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.drop()
}

// drop closes the worker that there is.
func (c *Client) drop() error {
	if c.c == nil {
		return nil
	}
	err := c.c.Close()
	c.c = nil
	return err
}

// running is a worker that takes jobs: the present one, or a new one where that has
// died.
func (c *Client) running(ctx context.Context) (*child.Child, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.c != nil && c.c.Alive() {
		return c.c, nil
	}
	if err := c.drop(); err != nil {
		return nil, err
	}
	var err error
	c.c, err = Start(ctx, c.Kind, c.Options)
	return c.c, err
}
