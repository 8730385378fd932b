package task

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/half"
)

// Calibration is one calibration of a model, as the stage of a pipeline and the
// command ask for it.
type Calibration struct {
	Model     *onnx.Model
	Contract  *contract.Contract // of the model
	IDs       []int64            // the text
	Random    bool               // the ids were drawn at random: recorded in the table
	Observe   []string           // tensors whose ranges are wanted
	Windows   calib.PlanOptions  // Limit is the model's, whatever it says
	Part, Of  int                // the part of the plan that is run, from 0; Of 0 is all of it
	Method    calib.Method
	Until     *calib.Until // nil runs all windows
	Threads   int
	Dir       string // where the cut graph lies for the time of it, with the weights that cannot stay where they are
	State     string // file that keeps what was observed, and is gone on from; "" keeps nothing
	CreatedBy string
}

// Calibrate cuts the graph to what the observed tensors need, runs the windows
// through ONNX Runtime and returns what it saw. Where it is cancelled, State holds
// what a second call goes on from; its result is the same.
func Calibrate(ctx context.Context, c jobs.Caller, r Calibration, p progress.Counter) (*calib.Observations, error) {
	job := calib.Job{IDs: r.IDs, Observe: r.Observe, Method: r.Method, Until: r.Until, CreatedBy: r.CreatedBy}
	if r.Random {
		job.Text = calib.RandomText
	}
	r.Windows.Limit = r.Contract.MaxPositions
	var err error
	if job.Plan, err = calib.NewPlan(len(r.IDs), r.Windows); err != nil {
		return nil, err
	}
	if r.Of > 0 {
		if job.Plan, err = job.Plan.Shard(r.Part, r.Of); err != nil {
			return nil, err
		}
	}
	if job.Model, err = r.Model.Digest(); err != nil {
		return nil, err
	}
	unlock, err := r.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	cut, remove, err := r.cut(job.Plan)
	if err != nil {
		return nil, err
	}
	defer remove()
	return jobs.Calibrate(ctx, c, jobs.CalibrateRequest{
		Model: cut, Job: job, Checkpoint: r.State,
		Every: 2 * time.Second, // an interrupt kills the child, and what came after the last write is run again
	}, p)
}

// lock keeps a second calibration away from State, which would sweep what the first
// works on and write over what it saw. Its file is removed while it is held, so who
// gets a lock looks whether the file is still the one in the directory.
func (r Calibration) lock() (unlock func(), err error) {
	if r.State == "" {
		return func() {}, nil
	}
	path := filepath.Join(r.Dir, "."+filepath.Base(r.State)+".lock")
	for {
		l, err := filelock.Try(path)
		switch {
		case err != nil:
			return nil, err
		case l == nil:
			return nil, fault.New(fault.Runtime, "calibrating", r.State, "another calibrate writes this file", "wait until it has ended, or name another output")
		}
		if l.Current() {
			return func() { _ = os.Remove(path); l.Unlock() }, nil
		}
		l.Unlock()
	}
}

// cut saves the part of the graph that calibration runs; remove takes it away. Its
// place is named after State, so that what a killed process left is found again and
// that of another job is left alone. Weights stay where they are, or a copy of a
// large model would be most of the time.
func (r Calibration) cut(p calib.Plan) (_ jobs.Model, remove func(), err error) {
	none := jobs.Model{}
	cutting := calib.Cut
	if !p.Decodes() {
		cutting = calib.CutPrefill
	}
	cut, err := cutting(r.Model, r.Observe)
	if err == nil && len(r.Observe) == 0 {
		cause := "the graph has no matrix product with a constant weight: there is nothing to quantize"
		if t := narrow(r.Model); t != "" {
			cause = "the graph computes in " + t + ", and ranges are those of the float32 graph"
		}
		err = fault.New(fault.Input, "calibrating", "", cause, "give the float32 graph of the model")
	}
	if err != nil {
		return none, nil, err
	}
	mine := fsx.TempPrefix + filepath.Base(r.State) + "-"
	if err := sweepOf(r.Dir, mine); err != nil {
		return none, nil, err
	}
	dir, err := os.MkdirTemp(r.Dir, mine+"cut-*")
	if err != nil {
		return none, nil, fsx.Explain("creating a directory in", r.Dir, err)
	}
	saved := jobs.Model{Path: filepath.Join(dir, quant.ModelFile), Contract: r.Contract, Threads: r.Threads}
	saved.Weights, err = onnx.Refer(cut, saved.Path)
	if err == nil && saved.Weights == "" {
		err = onnx.Save(cut, saved.Path, onnx.SaveOptions{})
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return none, nil, err
	}
	return saved, func() { _ = os.RemoveAll(dir) }, nil
}

// narrow is FP16 or BF16 where weights of the graph are; "" elsewhere.
func narrow(m *onnx.Model) string {
	for _, w := range m.Graph().GetInitializer() {
		switch onnxpb.TensorProto_DataType(w.GetDataType()) {
		case onnxpb.TensorProto_FLOAT16:
			return "FP16"
		case onnxpb.TensorProto_BFLOAT16:
			return "BF16"
		}
	}
	return ""
}

// numbered is the end of a temporary name. Another end is that of a longer name.
var numbered = regexp.MustCompile(`^(cut-)?[0-9]+$`)

// sweepOf removes what lies in dir under temporary names that begin with prefix.
func sweepOf(dir, prefix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fsx.Explain("reading", dir, err)
	}
	for _, e := range entries {
		if end, mine := strings.CutPrefix(e.Name(), prefix); mine && numbered.MatchString(end) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fsx.Explain("removing", e.Name(), err)
			}
		}
	}
	return nil
}

// The shapes that samples are drawn at: prefill lengths in turn, and steps with
// the model's own past.
var calibrationPrefill = []int{16, 64, 128}

const calibrationDecode = 8

// Windows are the prefill lengths and decode steps that calibration takes where
// nothing else is said: shorter ones for a model of few positions (0: no limit).
func Windows(positions int) (prefill []int, decode int) {
	prefill, decode = calibrationPrefill, calibrationDecode
	if positions > 0 && positions < slices.Max(prefill)+decode {
		prefill = []int{max(1, positions/2)}
		decode = min(decode, max(0, positions-prefill[0]))
	}
	return prefill, decode
}

// Also names what [Observed] adds where it is asked for.
type Also string

// What can be added.
const (
	AlsoHead      Also = "lm_head"   // the input of the head, for a policy that quantizes it
	AlsoAttention Also = "attention" // the operands of attention's products, for one that quantizes those
	AlsoFP16      Also = "fp16"      // everything by which FP16 is judged: what leaves its range stays in FP32
)

// Alsos are all of them.
var Alsos = []Also{AlsoHead, AlsoAttention, AlsoFP16}

// Observed are the tensors whose ranges any choice of matrix products needs, each
// once, so that one table serves every policy. The head's input, attention's
// operands and the whole of the graph, by which FP16 is judged, are added where they
// are asked for: each of them makes the calibration run more, and few need it.
func Observed(m *onnx.Model, also ...Also) ([]string, error) {
	all, err := quant.Products(m)
	if err != nil {
		return nil, err
	}
	names := quant.Observe(slices.DeleteFunc(all, func(t quant.Target) bool {
		switch t.Role {
		case quant.LMHead:
			return !slices.Contains(also, AlsoHead)
		case quant.Scores, quant.Values:
			return !slices.Contains(also, AlsoAttention)
		}
		return false
	}))
	if slices.Contains(also, AlsoFP16) {
		return WithRanged(m, names)
	}
	return names, nil
}

// WithRanged adds to names what FP16 is judged by.
func WithRanged(m *onnx.Model, names []string) ([]string, error) {
	ranged, err := half.Ranged(m)
	if err != nil {
		return nil, err
	}
	for _, n := range ranged {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names, nil
}
