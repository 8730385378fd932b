package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// runRequest asks for one run; the tensors that it feeds travel beside it.
type runRequest struct {
	Model
	Fetch []string `json:"fetch"` // the outputs to return
}

// runOnce runs a model without a decoder, which is what jobs are compared with.
func runOnce(t *testing.T, c Caller, r runRequest, feeds []onnx.Tensor) []onnx.Tensor {
	t.Helper()
	out, err := c.CallTensors(t.Context(), "run", r, feeds, nil, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// serveRun is runOnce in the child.
func serveRun(_ context.Context, call *child.Call) (any, error) {
	var r runRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	return struct{}{}, r.with(func(s *ort.Session, _ time.Duration) error {
		out, err := s.Run(call.Tensors, r.Fetch)
		call.Reply(out...)
		return err
	})
}
