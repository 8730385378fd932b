package jobs

import (
	"context"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// ProbeResult is what opening a model tells.
type ProbeResult struct {
	Runtime string     `json:"runtime"` // ONNX Runtime's version
	Inputs  []ort.Info `json:"inputs"`
	Outputs []ort.Info `json:"outputs"`
	LoadMS  float64    `json:"load_ms"`
}

// Probe opens a model, which proves that ONNX Runtime takes it.
func Probe(ctx context.Context, c Caller, m Model, p progress.Counter) (*ProbeResult, error) {
	r := &ProbeResult{}
	return r, c.Call(ctx, probeJob, m, r, p)
}

func probe(_ context.Context, call *child.Call) (any, error) {
	var m Model
	if err := call.Decode(&m); err != nil {
		return nil, err
	}
	r := ProbeResult{Runtime: ort.Version()}
	return &r, m.with(func(s *ort.Session, load time.Duration) error {
		r.Inputs, r.Outputs, r.LoadMS = s.Inputs(), s.Outputs(), milliseconds(load)
		return nil
	})
}

// RunRequest asks for one run; the tensors that it feeds travel beside it.
type RunRequest struct {
	Model
	Fetch []string `json:"fetch"` // the outputs to return
}

// Run runs a model once. For tests and comparisons: it opens the model each time.
func Run(ctx context.Context, c Caller, r RunRequest, feeds []onnx.Tensor, p progress.Counter) ([]onnx.Tensor, error) {
	return c.CallTensors(ctx, runJob, r, feeds, nil, p)
}

func run(_ context.Context, call *child.Call) (any, error) {
	var r RunRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	return struct{}{}, r.with(func(s *ort.Session, _ time.Duration) error {
		out, err := s.Run(call.Tensors, r.Fetch)
		call.Reply(out...)
		return err
	})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
