package jobs

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/validate"
)

// LocateRequest asks which node makes the first value that is not finite. IDs are
// the tokens up to and with the one after which the logits are not.
type LocateRequest struct {
	Model
	IDs     []int  `json:"ids"`
	Prefill int    `json:"prefill"` // tokens that are fed at once, then one a step
	Dir     string `json:"dir"`     // an existing directory for a temporary copy of the graph
}

// NewLocate asks about the position of a window after which the logits were not
// finite. A prefill is run whole: what is wrong behind a position can spoil it, for
// a weight of 0 times NaN is NaN.
func NewLocate(m Model, phase string, w validate.Window, at int, dir string) LocateRequest {
	if phase == Prefill {
		return LocateRequest{Model: m, IDs: w.IDs[:w.Length-1], Prefill: w.Length - 1, Dir: dir}
	}
	return LocateRequest{Model: m, IDs: w.IDs[:at+1], Prefill: min(w.First, at) + 1, Dir: dir}
}

// Locate finds the node by bisection of the graph: the values that cross from the
// nodes before a cut to those behind it are fetched, and are finite or not. It is
// nil where the fault does not come again.
func Locate(ctx context.Context, c Caller, r LocateRequest, p progress.Counter) (*validate.Origin, error) {
	var o *validate.Origin
	err := c.Call(ctx, locateJob, r, &o, p)
	return o, err
}

func locate(ctx context.Context, call *child.Call) (_ any, err error) {
	var r LocateRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	if err := r.needContract(locateJob); err != nil {
		return nil, err
	}
	if r.Prefill < 1 || r.Prefill > len(r.IDs) {
		return nil, fault.New(fault.Usage, "locating", r.Path, "a prefill longer than the tokens", "")
	}
	m, err := onnx.Load(r.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	dir, err := os.MkdirTemp(r.Dir, fsx.TempPrefix+"locate-*")
	if err != nil {
		return nil, fsx.Explain("locating in", r.Dir, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l := &locator{ctx: ctx, r: r, model: m, cuts: validate.NewCuts(m), dir: dir}
	return l.cuts.Origin(l.faults)
}

type locator struct {
	ctx   context.Context
	r     LocateRequest
	model *onnx.Model
	cuts  *validate.Cuts
	dir   string // of the graphs that show a cut
	saved bool   // the weights, which all of them share
}

// faults runs the graph with these values as outputs, the nodes as they are, and
// says which of them hold a NaN or an infinity in the last step.
func (l *locator) faults(names []string) (map[string]validate.Fault, error) {
	show := l.r.Model
	show.Path, show.Optimize = filepath.Join(l.dir, "cut.onnx"), ort.OptimizeNone
	if err := onnx.Save(l.cuts.Show(l.model, names), show.Path, onnx.SaveOptions{ReuseData: l.saved}); err != nil {
		return nil, err
	}
	l.saved = true
	found := map[string]validate.Fault{}
	err := show.with(func(s *ort.Session, _ time.Duration) error {
		return calib.Drive(l.ctx, s, l.r.Contract, wide(l.r.IDs), l.r.Prefill, names, func(past int64, out []onnx.Tensor) error {
			if int(past) < len(l.r.IDs)-1 && len(l.r.IDs) > l.r.Prefill {
				return nil
			}
			for _, t := range out {
				if !t.Type.IsFloat() {
					continue
				}
				values, err := t.Float32s()
				if err != nil {
					return err
				}
				found[t.Name] = worst(values)
			}
			return nil
		})
	})
	return found, err
}

func worst(values []float32) (f validate.Fault) {
	for _, v := range values {
		switch {
		case v != v:
			return validate.NaN
		case math.IsInf(float64(v), 1):
			f = max(f, validate.PlusInf)
		case math.IsInf(float64(v), -1):
			f = max(f, validate.MinusInf)
		}
	}
	return f
}
