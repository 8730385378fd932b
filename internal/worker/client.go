package worker

import (
	"context"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Client runs jobs in one worker, which it starts at the first job and again after a
// death, as ort.Client does. Close it.
type Client struct {
	Kind    Kind
	Options Options

	child.Keeper
}

// Call runs a job; see child.Child.Call for its errors.
func (c *Client) Call(ctx context.Context, job string, request, result any, p progress.Counter) error {
	_, err := c.CallTensors(ctx, job, request, nil, result, p)
	return err
}

// CallTensors is Call with tensors in both directions.
func (c *Client) CallTensors(ctx context.Context, job string, request any, in []onnx.Tensor, result any, p progress.Counter) ([]onnx.Tensor, error) {
	running, err := c.Running(ctx, func(ctx context.Context) (*child.Child, error) {
		return Start(ctx, c.Kind, c.Options)
	})
	if err != nil {
		return nil, err
	}
	return running.CallTensors(ctx, job, request, in, result, p)
}
