package jobs

import (
	"context"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
)

// CalibrateRequest asks for the histograms of a calibration. Model is the cut
// graph (calib.Cut) with the contract of the whole.
type CalibrateRequest struct {
	Model
	Job calib.Job `json:"job"`
}

// Calibrate runs the windows of a calibration and returns one histogram a tensor.
func Calibrate(ctx context.Context, c Caller, r CalibrateRequest, p progress.Counter) (*calib.Collector, error) {
	collector := &calib.Collector{}
	if err := c.Call(ctx, calibrateJob, r, collector, p); err != nil {
		return nil, err
	}
	return collector, nil
}

func calibrate(ctx context.Context, call *child.Call) (any, error) {
	var r CalibrateRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.needContract(calibrateJob); err != nil {
		return nil, err
	}
	var collector *calib.Collector
	err := r.with(func(s *ort.Session, _ time.Duration) (err error) {
		collector, err = calib.Collect(ctx, s, r.Contract, r.Job, call.Progress)
		return err
	})
	return collector, err
}
