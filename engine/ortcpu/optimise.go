package ortcpu

import (
	"context"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
)

// JobOptimise is the name of the child's job.
const JobOptimise = "optimise"

// file is the engine in its directory; its weights are in file + ".data".
const file = "model.onnx"

// optimiseRequest asks for the graph at Model to be rewritten into Dir.
type optimiseRequest struct {
	Model string `json:"model"`
	Dir   string `json:"dir"`
}

// optimiseResult says who did it and how long the steps took.
type optimiseResult struct {
	Version    string  `json:"version"`    // ONNX Runtime's
	PeakBytes  int64   `json:"peak_bytes"` // the most memory that was resident
	OptimiseMS float64 `json:"optimise_ms"`
	VerifyMS   float64 `json:"verify_ms"`
}

// OptimiseJob opens a model, saves what ONNX Runtime made of it, and opens that
// as it will be used. It runs in the child.
func OptimiseJob(_ context.Context, call *child.Call) (any, error) {
	var r optimiseRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	out := filepath.Join(r.Dir, file)
	call.Progress.SetMax(2)
	call.Progress.Note("optimising")
	child.ForgetPeak()
	optimise, err := openAndClose(r.Model, ort.Options{Optimize: ort.OptimizeExtended, SaveOptimized: out})
	if err != nil {
		return nil, err
	}
	call.Progress.Set(1)
	call.Progress.Note("verifying")
	verify, err := openAndClose(out, ort.Options{Optimize: Open})
	if err != nil {
		return nil, err
	}
	call.Progress.Set(2)
	return optimiseResult{Version: ort.Version(), PeakBytes: child.OwnPeak(), OptimiseMS: optimise, VerifyMS: verify}, nil
}

// openAndClose returns how many milliseconds opening took.
func openAndClose(path string, o ort.Options) (float64, error) {
	begin := time.Now()
	s, err := ort.Open(path, o)
	if err != nil {
		return 0, err
	}
	ms := milliseconds(begin)
	return ms, s.Close()
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }
