package ortcuda

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
)

// JobBuild is the name of the child's job.
const JobBuild = "build-cuda"

// file is the engine in its directory; its weights are in file + ".data".
const file = "model.onnx"

type buildRequest struct {
	Model    string       `json:"model"`
	Dir      string       `json:"dir"`
	Provider ort.Provider `json:"provider"`
}

type buildResult struct {
	Version   string         `json:"version"` // ONNX Runtime's
	BuildMS   float64        `json:"build_ms"`
	VerifyMS  float64        `json:"verify_ms"`
	PeakBytes int64          `json:"peak_bytes"` // the most memory that was resident
	Subgraphs []ort.Subgraph `json:"subgraphs"`
}

// Build opens a graph on the GPU, saves what ONNX Runtime made of it, and opens that
// as it will be used. It runs in the child.
func Build(_ context.Context, call *child.Call) (any, error) {
	var r buildRequest
	if err := call.Decode(&r); err != nil {
		return nil, err
	}
	saved := filepath.Join(r.Dir, file)
	out := buildResult{Version: ort.Version()}
	call.Progress.SetMax(2)
	call.Progress.Note("optimising")
	child.ForgetPeak()
	if _, err := opened(&out.BuildMS, r.Model, ort.Options{Provider: &r.Provider, Optimize: ort.OptimizeExtended, SaveOptimized: saved}); err != nil {
		return nil, err
	}
	call.Progress.Set(1)
	call.Progress.Note("verifying")
	// It is this session that will run, so it is this one that tells who runs what.
	var err error
	out.Subgraphs, err = opened(&out.VerifyMS, saved, ort.Options{Provider: &r.Provider, Optimize: ort.OptimizeAll, Record: true})
	call.Progress.Set(2)
	out.PeakBytes = child.OwnPeak()
	return out, err
}

// opened opens a session, says how many milliseconds that took and, of one that
// records it, who runs what, and closes it.
func opened(ms *float64, path string, o ort.Options) (all []ort.Subgraph, err error) {
	begin := time.Now()
	s, err := ort.Open(path, o)
	if err != nil {
		return nil, err
	}
	*ms = float64(time.Since(begin).Microseconds()) / 1000
	if o.Record {
		all, err = s.Assigned()
	}
	return all, errors.Join(err, s.Close())
}
