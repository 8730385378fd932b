package task

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
)

// planBackends are those whose engines are plans, which the plan worker runs.
var planBackends = []string{"rtx", "trtexec", "tensorrt"}

// isPlan tells whether a backend's engines are plans.
func isPlan(backend string) bool { return slices.Contains(planBackends, backend) }

// Idle says why an engine cannot be measured on this machine; "" where it can, as far
// as can be seen before it is opened.
func Idle(ctx context.Context, m *engine.Manifest) string {
	switch {
	case m.File == "" && len(m.Warnings) > 0:
		return m.Warnings[0] // it was not built
	case m.File == "":
		return "it has no file"
	case m.Backend == "ortcpu" || local.Sessions(m.Backend) || isPlan(m.Backend):
		return IdleHere(ctx, m.Backend, m.Target)
	}
	return "nothing here runs engines of backend " + m.Backend
}

// IdleHere says why engines of a backend and target do not run on this machine; ""
// where they do, as far as can be seen before one is opened.
func IdleHere(ctx context.Context, backend, target string) string {
	if backend == "ortcpu" || backend == PyTorch {
		return ""
	}
	why := unfit(backend, target, FirstGPU(ctx))
	if why == "" && isPlan(backend) && backend != "rtx" {
		why = noBindings(ctx)
	}
	return why
}

// noBindings says why classic plans do not run although there is a GPU.
func noBindings(ctx context.Context) string {
	python, err := classicPython()
	if err == nil {
		err = exec.CommandContext(ctx, python, "-c", "import importlib.util as u; raise SystemExit(u.find_spec('tensorrt') is None)").Run()
	}
	if err != nil {
		return "no Python here has TensorRT's bindings, which run such plans: name an interpreter that has them in TRTFORGE_TRT_PYTHON"
	}
	return ""
}

// FirstGPU is the machine's, or nil.
func FirstGPU(ctx context.Context) *doctor.GPU {
	gpus, err := doctor.ThisMachine("").Answer(ctx)
	if err != nil || len(gpus) == 0 {
		return nil
	}
	return &gpus[0]
}

// portable are the GPUs that a TensorRT-RTX plan without a target runs on, as far as
// there are any today.
var portable = []string{"sm86", "sm89", "sm120", "sm121"}

const noGPU = "a TensorRT-RTX plan runs on an RTX GPU only"

// unfit says why a GPU, or a machine without one, does not run an engine; "" where it
// does.
func unfit(backend, target string, g *doctor.GPU) string {
	switch {
	case g == nil && backend == "rtx":
		return noGPU
	case g == nil:
		return backend + " engines run on an NVIDIA GPU only"
	case backend != "rtx":
		return ""
	}
	sm := "sm" + strings.ReplaceAll(g.Compute, ".", "")
	fits := portable
	if target != "" {
		fits = []string{target}
	}
	if slices.Contains(fits, sm) {
		return ""
	}
	return fmt.Sprintf("it is for %s, this machine's GPU is %s", strings.Join(fits, ", "), sm)
}

// plan is the worker of an engine that is a plan: with the bindings of TensorRT-RTX
// that are installed, or with those of TensorRT that the interpreter named in
// TRTFORGE_TRT_PYTHON, the environment of `trtforge setup trt`, or else python3 has.
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
	if cudart := runtimes.CUDART(); cudart != "" { // a driver alone brings none
		c.Options.Env = []string{"TRTFORGE_CUDART_FOUND=" + cudart}
	}
	p.ends = append(p.ends, c.Close)
	return c, nil
}

func (p *Processes) planPython(ctx context.Context, r *Runnable) (string, error) {
	if r.Backend == "rtx" {
		found, err := p.Runtimes.Get(ctx, "rtx")
		return found.Python, err
	}
	python, err := classicPython()
	return python, fault.Wrap(fault.Missing, "running", r.Name, err, "install Python with TensorRT's bindings, or name the interpreter in TRTFORGE_TRT_PYTHON")
}

// classicPython is the interpreter whose TensorRT opens classic plans.
func classicPython() (string, error) {
	if python := os.Getenv("TRTFORGE_TRT_PYTHON"); python != "" {
		return python, nil
	}
	if python, ok := runtimes.TRTPython(); ok {
		return python, nil
	}
	return exec.LookPath("python3")
}
