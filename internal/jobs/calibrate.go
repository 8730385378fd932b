package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
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
	// Every is how long it waits at least between two writes; 0 means 5 s.
	Every time.Duration `json:"every,omitempty"`
}

// Calibrate runs a calibration, or the rest of it. NaN or an infinity in an
// observed tensor is an error of class input that names the first node that makes
// one.
func Calibrate(ctx context.Context, c Caller, r CalibrateRequest, p progress.Counter) (*calib.Observations, error) {
	if r.Contract != nil {
		if err := calib.CheckIDs(r.Job.IDs, r.Contract.Vocab); err != nil {
			return nil, err
		}
	}
	r.Job = r.Job.Windows()
	o := &calib.Observations{}
	if err := c.Call(ctx, calibrateJob, r, o, p); err != nil {
		return nil, err
	}
	if r.Checkpoint != "" { // of a large model they do not fit a frame
		seen, err := calib.ReadObservationsFile(r.Checkpoint)
		if err == nil && !seen.Whole() {
			err = fault.New(fault.Runtime, "calibrating", r.Checkpoint,
				fmt.Sprintf("it ended, and the file has %d of %d batches: another calibration writes it too", seen.Done, seen.Batches), "give each a file of its own")
		}
		return seen, err
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
	keeper, err := r.keeper()
	if err != nil {
		return nil, err
	}
	// Nearly all of the heap is the outputs' memory, which is used again: room for as
	// much garbage besides would never be used.
	defer debug.SetGCPercent(debug.SetGCPercent(calibrateGC))
	var o *calib.Observations
	err = r.with(func(s *ort.Session, _ time.Duration) (err error) {
		o, err = calib.Resume(ctx, s.Recycling(presents(r.Contract, r.Job.Plan)...), r.Contract, r.Job, keeper, call.Progress)
		return err
	})
	if bad := (*calib.NotFinite)(nil); errors.As(err, &bad) {
		call.Progress.Note("looking for the first node that is not finite")
		return nil, r.locate(ctx, err)
	}
	if err != nil || r.Checkpoint == "" {
		return o, err
	}
	return struct{}{}, keeper.Save(o)
}

// calibrateGC is by how many percent the heap of a calibration may grow before its
// garbage is collected.
const calibrateGC = 20

// presents are the outputs that are fed back; none where the plan has no decode steps.
func presents(c *contract.Contract, p calib.Plan) (names []string) {
	if !p.Decodes() {
		return nil
	}
	for _, t := range c.Outputs {
		if t.Kind == contract.KindPresentKey || t.Kind == contract.KindPresentValue {
			names = append(names, t.Name)
		}
	}
	return names
}

// keeper keeps the observations in the file of the request.
func (r CalibrateRequest) keeper() (k calib.Keeper, err error) {
	if r.Checkpoint == "" {
		return k, nil
	}
	k.Every = r.Every
	k.Save = func(o *calib.Observations) error { return o.WriteFile(r.Checkpoint) }
	if _, err := os.Stat(r.Checkpoint); errors.Is(err, fs.ErrNotExist) {
		return k, nil
	}
	k.From, err = calib.ReadObservationsFile(r.Checkpoint)
	return k, err
}

// locate names the node behind an error of values that are not finite.
func (r CalibrateRequest) locate(ctx context.Context, cause error) error {
	m, err := onnx.LoadFrom(r.Path, r.Weights)
	if err != nil {
		return errors.Join(cause, err)
	}
	defer func() { _ = m.Close() }()
	dir, err := os.MkdirTemp(filepath.Dir(r.Path), fsx.TempPrefix+"locate-*")
	if err != nil {
		return errors.Join(cause, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	all := r.Model
	all.Path, all.Weights = filepath.Join(dir, "everything.onnx"), ""
	if err := onnx.Save(calib.Everything(m), all.Path, onnx.SaveOptions{}); err != nil {
		return errors.Join(cause, err)
	}
	located := cause
	err = all.with(func(s *ort.Session, _ time.Duration) error {
		located = calib.Locate(ctx, s, m, r.Contract, r.Job, cause)
		return nil
	})
	return errors.Join(located, err)
}
