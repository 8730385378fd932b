// Package jobs is the work that crosses the pipe to the ONNX Runtime child, whole
// jobs and never single steps, so that every timed loop runs inside the child.
//
// The child serves [All]; the parent calls one function a job over anything that
// passes calls on, which an ort.Client is:
//
//	os.Exit(ort.Serve(jobs.All()))                          // in the child
//	score, err := jobs.Score(ctx, client, jobs.ScoreRequest{…}, p)  // in the parent
//
// A request names files, which the child reads itself; only token ids and
// results travel. The child keeps nothing between jobs.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
)

// Caller passes a job on to a child. An ort.Client is one.
type Caller interface {
	Call(ctx context.Context, job string, request, result any, p progress.Counter) error
	CallTensors(ctx context.Context, job string, request any, in []onnx.Tensor, result any, p progress.Counter) ([]onnx.Tensor, error)
}

// The names of the jobs.
const (
	calibrateJob = "calibrate"
	scoreJob     = "score"
	benchJob     = "bench"
	searchJob    = "search"

	greedyJob     = "greedy"
	invarianceJob = "invariance"
	locateJob     = "locate"
	tensorsJob    = "tensors"
)

// All are the jobs that this package serves in the child. Builders bring their
// own (engine/ortcpu).
func All() map[string]child.Job {
	return map[string]child.Job{
		calibrateJob: calibrate,
		scoreJob:     score,
		benchJob:     benchmark,
		searchJob:    runSearch,

		greedyJob:     greedy,
		invarianceJob: invariance,
		locateJob:     locate,
		tensorsJob:    tensors,
	}
}

// Model is a graph and how to run it.
type Model struct {
	Path     string             `json:"path"`
	Weights  string             `json:"weights,omitempty"`  // the directory of its external data; "" is that of Path
	Contract *contract.Contract `json:"contract,omitempty"` // where the job feeds the graph itself
	Threads  int                `json:"threads,omitempty"`  // 0: as many as the machine gives
	Optimize ort.Optimize       `json:"optimize,omitempty"` // "none" for an engine that is optimised already
	Spin     bool               `json:"spin,omitempty"`     // idle threads spin: for timed sections
	Provider *ort.Provider      `json:"provider,omitempty"` // who runs it; nil: the CPU
	Steps    string             `json:"steps,omitempty"`    // path of another graph for decode steps, where prefill and decode are engines of their own
	KV       KV                 `json:"kv,omitempty"`       // where a provider's cache lies; "" is KVHost
	PyTorch  *PyTorch           `json:"pytorch,omitempty"`  // where Path is a checkpoint that PyTorch runs
}

// PyTorch is how PyTorch runs a checkpoint. The zero value is eager, in float32.
type PyTorch struct {
	DType   string `json:"dtype,omitempty"`   // fp32 or bf16; "" is fp32
	Compile bool   `json:"compile,omitempty"` // through torch.compile, for which the machine needs a C++ compiler
}

// open opens the model and says how long that took.
func (m Model) open() (*ort.Session, time.Duration, error) {
	start := time.Now()
	s, err := m.connect()
	return s, time.Since(start), err
}

// with opens the model, runs work and closes the model again.
func (m Model) with(work func(s *ort.Session, load time.Duration) error) error {
	s, load, err := m.open()
	if err != nil {
		return err
	}
	// The thread that calls ONNX Runtime is one of its intra-op threads: let it
	// stay the same, with what it has in its core's cache.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return errors.Join(work(s, load), s.Close())
}

// here is with for work on any session.
func (m Model) here(work func(s lm.Session, load time.Duration) error) error {
	return m.with(func(s *ort.Session, load time.Duration) error { return work(s, load) })
}

// needContract refuses a request without one.
func (m Model) needContract(job string) error {
	if m.Contract == nil {
		return fmt.Errorf("job %s: the request has no contract for %s", job, m.Path)
	}
	return nil
}

// wide copies token ids into the width that graphs are fed in.
func wide(ids []int) []int64 {
	all := make([]int64, len(ids))
	for i, id := range ids {
		all[i] = int64(id)
	}
	return all
}
