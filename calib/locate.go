package calib

import (
	"context"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/onnx"
)

// Locate finds the first node, in the graph's order, whose output is not finite
// when the samples of a batch of the job are run. m is the cut graph; open runs a
// graph. It returns cause, more precise.
func Locate(ctx context.Context, m *onnx.Model, c *contract.Contract, job Job, cause error,
	open func(*onnx.Model) (r Runner, closed func() error, err error)) error {
	panic("soon")
}
