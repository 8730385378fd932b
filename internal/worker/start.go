package worker

import (
	"context"
	"io"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
)

// Kind is one of the programs in py/.
type Kind string

// The workers.
const (
	Reference Kind = "reference" // torch and transformers
	RTX       Kind = "rtx"       // tensorrt-rtx
	Plan      Kind = "plan"      // runs plans: tensorrt or tensorrt-rtx, and CUDA
)

// Options say how to start a worker. Durations and the memory limit are those
// of child.Spec; zero means its defaults.
type Options struct {
	Python string    // the interpreter of an environment that has the worker's packages
	Cache  string    // where the programs are written; "" = the user's cache
	Env    []string  // KEY=VALUE, added to the environment
	Log    io.Writer // what the worker prints

	Start, Silence, Run time.Duration
	Memory              int64
}

// Start starts a worker and waits until it is ready. An environment that lacks
// its packages is fault.Missing.
func Start(ctx context.Context, kind Kind, o Options) (*child.Child, error) {
	if o.Python == "" {
		return nil, fault.New(fault.Missing, "starting worker", string(kind), "no Python environment is installed for it",
			"run trtforge setup "+string(kind))
	}
	dir, err := unpack(o.Cache)
	if err != nil {
		return nil, err
	}
	return child.Start(ctx, child.Spec{
		Name: string(kind), Path: o.Python,
		// -u: nothing printed is lost in a crash; -B: no files beside the programs.
		Args: []string{"-u", "-B", filepath.Join(dir, string(kind)+".py")},
		Env:  append([]string{"PYTHONUTF8=1", "HF_HUB_OFFLINE=1"}, o.Env...),
		Log:  o.Log, Start: o.Start, Silence: o.Silence, Run: o.Run, Memory: o.Memory,
	})
}
