package jobs

import (
	"context"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
)

// CalibrateRequest asks for what a calibration observes. Model is the cut graph
// (calib.Cut) with the contract of the whole.
type CalibrateRequest struct {
	Model
	Job calib.Job `json:"job"`
	// Checkpoint is a file that the child keeps the observations in, every few
	// seconds and at the end, whole or not at all. Where it is there already, the
	// calibration goes on from it. "" keeps nothing, and the observations come back
	// over the pipe.
	Checkpoint string `json:"checkpoint,omitempty"`
}

// Calibrate runs a calibration, or the rest of it.
func Calibrate(ctx context.Context, c Caller, r CalibrateRequest, p progress.Counter) (*calib.Observations, error) {
	o := &calib.Observations{}
	if err := c.Call(ctx, calibrateJob, r, o, p); err != nil {
		return nil, err
	}
	return o, nil
}

func calibrate(ctx context.Context, call *child.Call) (any, error) {
	var r CalibrateRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.needContract(calibrateJob); err != nil {
		return nil, err
	}
	var o *calib.Observations
	err := r.with(func(s *ort.Session, _ time.Duration) (err error) {
		o, err = calib.Collect(ctx, s, r.Contract, r.Job, call.Progress)
		return err
	})
	return o, err
}
