package pipeline

import (
	"context"
	"os"
	"os/exec"
	"slices"

	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/worker"
)

// planBackends are those whose engines are plans, which the plan worker runs.
var planBackends = []string{"rtx", "trtexec", "tensorrt"}

// isPlan tells whether a backend's engines are plans.
func isPlan(backend string) bool { return slices.Contains(planBackends, backend) }

// idleHere says why engines of a backend do not run on this machine; "" where they
// do, as far as can be seen before one is opened.
func idleHere(ctx context.Context, backend string) string {
	if backend == "ortcpu" || backend == PyTorch {
		return ""
	}
	if gpus, err := doctor.ThisMachine("").Answer(ctx); err == nil && len(gpus) > 0 {
		return ""
	}
	return noGPU
}

// plan is the worker of an engine that is a plan: with the bindings of TensorRT-RTX
// that are installed, or with those of TensorRT that python3, or the interpreter
// named in TRTFORGE_TRT_PYTHON, has.
func (p *Processes) plan(ctx context.Context, r *Runnable) (jobs.Caller, error) {
	python, err := p.planPython(ctx, r)
	if err != nil {
		return nil, err
	}
	log, err := p.log(r.Name)
	if err != nil {
		return nil, err
	}
	c := &worker.Client{Kind: worker.Plan, Options: worker.Options{Python: python, Log: log, Run: p.Timeout, Memory: p.Memory}}
	p.ends = append(p.ends, c.Close)
	return c, nil
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
