package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/validate"
)

// Runtimes gives a stage the runtime that it needs ("ort", "rtx", "reference").
// One that is not there is an error of class missing.
type Runtimes interface {
	Get(ctx context.Context, name string) (runtimes.Runtime, error)
}

// Processes are those that engines are measured in, one for each.
type Processes struct {
	Runtimes Runtimes
	Log      func(engine string) (io.Writer, error) // for what a process prints; nil discards it
	Timeout  time.Duration                          // of one job; 0 is the default
	Memory   int64                                  // of one process in bytes; 0 is the default

	ends []func() error
}

// Systems gives each engine a process of its own, which starts at its first turn. A
// backend that this machine cannot run is an error of class missing.
func (p *Processes) Systems(ctx context.Context, engines []*Runnable) ([]trial.System, error) {
	var all []trial.System
	for _, r := range engines {
		s, err := p.system(ctx, r)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Own gives one engine a process of its own for jobs that are not timed, and is the
// engine as that runs it.
func (p *Processes) Own(ctx context.Context, r *Runnable) (*Runnable, jobs.Caller, error) {
	s, err := p.system(ctx, r)
	on := *r
	on.Model = s.Model
	on.Model.Spin = false
	return &on, s.Caller, err
}

func (p *Processes) system(ctx context.Context, r *Runnable) (trial.System, error) {
	s := trial.System{Name: r.Name, Model: r.Model, GPU: r.Backend != "ortcpu" && r.Backend != PyTorch}
	s.Model.Spin = true
	if r.Backend == PyTorch && s.Model.Threads == 0 {
		s.Model.Threads = ort.Threads() // as many as ONNX Runtime takes, not PyTorch's own choice
	}
	if r.Manifest != nil {
		s.BuildMS = r.Manifest.Measured.BuildMS
	}
	var err error
	if local.Sessions(r.Backend) && r.Manifest != nil {
		err = p.onGPU(ctx, &s, r)
	} else {
		s.Caller, err = p.start(ctx, r)
	}
	if err != nil {
		return s, err
	}
	s.Key, err = r.identity()
	return s, err
}

// onGPU gives an engine of this machine's GPU a process of the GPU build.
func (p *Processes) onGPU(ctx context.Context, s *trial.System, r *Runnable) error {
	client, provider, err := local.Client(ctx, doctor.ThisMachine(""), r.Manifest, local.Options{Timeout: p.Timeout}, os.Environ(), nil)
	if err != nil {
		return err
	}
	s.Model.Provider, s.Model.KV, client.Memory = provider, jobs.KV(os.Getenv(KVEnv)), p.Memory
	if client.Log, err = p.log(r.Name); err != nil {
		return err
	}
	p.ends = append(p.ends, client.Close)
	s.Caller = client
	return nil
}

// KVEnv is the environment variable that puts the cache of GPU engines where it
// belongs: "device". Until somebody with a GPU has seen it give the same tokens
// (docs/gpu-verification.md) it stays on the host and rows say so.
const KVEnv = "TRTFORGE_KV"

// log is where a process of an engine prints to; nil discards it.
func (p *Processes) log(engine string) (io.Writer, error) {
	if p.Log == nil {
		return nil, nil
	}
	return p.Log(engine)
}

// start is the process of a runnable's backend; it starts with its first job.
func (p *Processes) start(ctx context.Context, r *Runnable) (jobs.Caller, error) {
	target := ""
	if r.Manifest != nil {
		target = r.Manifest.Target
	}
	if why := IdleHere(ctx, r.Backend, target); why != "" {
		return nil, fault.New(fault.Missing, "running", r.Name, why, "run it on a machine with that GPU, or measure an ortcpu engine")
	}
	if isPlan(r.Backend) {
		return p.plan(ctx, r)
	}
	name := map[string]string{"ortcpu": "ort", PyTorch: string(worker.Reference)}[r.Backend]
	if name == "" {
		return nil, fault.New(fault.Usage, "running", r.Name, "nothing here runs engines of backend "+r.Backend, "name an engine that trtforge built")
	}
	found, err := p.Runtimes.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	log, err := p.log(r.Name)
	if err != nil {
		return nil, err
	}
	if r.Backend == PyTorch {
		c := &worker.Client{Kind: worker.Reference, Options: worker.Options{Python: found.Python, Log: log, Run: p.Timeout, Memory: p.Memory}}
		p.ends = append(p.ends, c.Close)
		return c, nil
	}
	c := &ort.Client{Library: found.Library, Log: log, Run: p.Timeout, Memory: p.Memory}
	p.ends = append(p.ends, c.Close)
	return c, nil
}

// Close ends the processes.
func (p *Processes) Close() error {
	var errs []error
	for _, end := range p.ends {
		errs = append(errs, end())
	}
	p.ends = nil
	return errors.Join(errs...)
}

// identity is what two runnables that give the same figures share: of an engine its
// file's digest, of a graph its own, of a checkpoint that of its weights with the
// program that runs them.
func (r *Runnable) identity() (string, error) {
	if r.Backend == PyTorch {
		digest, err := validate.ModelDigest(r.Dir)
		return fmt.Sprintf("%s, %+v, %s, worker %s", digest, *r.Model.PyTorch, runtimes.TextOf(string(worker.Reference)), worker.Digest()), err
	}
	if r.Manifest != nil && r.Manifest.FileDigest != "" {
		return r.Manifest.FileDigest, nil
	}
	m, err := onnx.Load(r.Model.Path)
	if err != nil {
		return "", err
	}
	defer func() { _ = m.Close() }()
	return m.Digest()
}
