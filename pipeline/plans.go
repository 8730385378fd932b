package pipeline

import (
	"context"
	"os"
	"os/exec"
	"slices"

	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/internal/worker"
)

// planBackends are those whose engines are plans, which the plan worker runs.
var planBackends = []string{"rtx", "trtexec", "tensorrt"}

// isPlan tells whether a backend's engines are plans.
func isPlan(backend string) bool { return slices.Contains(planBackends, backend) }

// idleHere says why engines of a backend do not run on this machine; "" where they
// do, as far as can be seen before one is opened.
func idleHere(ctx context.Context, backend string) string {
	if !isPlan(backend) {
		return ""
	}
	if gpus, err := doctor.ThisMachine("").Answer(ctx); err == nil && len(gpus) > 0 {
		return ""
	}
	return noGPU
}

// plan gives an engine that is a plan a worker of its own: with the bindings of
// TensorRT-RTX that are installed, or with those of TensorRT that python3, or the
// interpreter named in TRTFORGE_TRT_PYTHON, has.
func (p *Processes) plan(ctx context.Context, r *Runnable, s trial.System) (trial.System, error) {
	python, err := p.planPython(ctx, r)
	if err != nil {
		return s, err
	}
	if s.Key, err = r.identity(); err != nil {
		return s, err
	}
	client := &worker.Client{Kind: worker.Plan, Options: worker.Options{Python: python, Run: p.Timeout, Memory: p.Memory}}
	if p.Log != nil {
		if client.Options.Log, err = p.Log(r.Name); err != nil {
			return s, err
		}
	}
	p.ends = append(p.ends, client.Close)
	s.Caller = client
	return s, nil
}

func (p *Processes) planPython(ctx context.Context, r *Runnable) (string, error) {
	if r.Backend == "rtx" {
		found, err := p.Runtimes.Get(ctx, "rtx")
		return found.Python, err
	}
	if python := os.Getenv("TRTFORGE_TRT_PYTHON"); python != "" {
		return python, nil
	}
	python, err := exec.LookPath("python3")
	return python, fault.Wrap(fault.Missing, "running", r.Name, err, "install Python with TensorRT's bindings, or name the interpreter in TRTFORGE_TRT_PYTHON")
}
