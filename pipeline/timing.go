package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/onnx"
)

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

func (p *Processes) system(ctx context.Context, r *Runnable) (trial.System, error) {
	s := trial.System{Name: r.Name, Model: r.Model}
	s.Model.Spin = true
	if r.Manifest != nil {
		s.BuildMS = r.Manifest.Measured.BuildMS
	}
	if r.Backend == PyTorch {
		return p.pytorch(ctx, r, s)
	}
	if r.Backend != "ortcpu" {
		return s, fault.New(fault.Missing, "running", r.Name, noGPU, "run it on a machine with that GPU, or measure an ortcpu engine")
	}
	found, err := p.Runtimes.Get(ctx, "ort")
	if err != nil {
		return s, err
	}
	if s.Key, err = r.identity(); err != nil {
		return s, err
	}
	client := &ort.Client{Library: found.Library, Run: p.Timeout, Memory: p.Memory}
	if p.Log != nil {
		if client.Log, err = p.Log(r.Name); err != nil {
			return s, err
		}
	}
	p.ends = append(p.ends, client.Close)
	s.Caller = client
	return s, nil
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
// file's digest, of a graph its own.
func (r *Runnable) identity() (string, error) {
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

// turnsDir holds the samples of a bench stage that is under way, so that a run that
// was killed goes on there.
const turnsDir = "bench-turns"

// runBench times all engines in turns.
func (j *job) runBench(ctx context.Context, dir string, p progress.Counter) error {
	text, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	cases, err := bench.Cases(j.config.Workload, bench.Spread{})
	if err != nil {
		return err
	}
	engines, err := j.runnables()
	if err != nil {
		return err
	}
	timeout, memory := j.limits(0)
	processes := &Processes{Runtimes: j.options.Runtimes, Log: func(name string) (io.Writer, error) { return j.log("bench-" + name) }, Timeout: timeout, Memory: memory}
	defer func() { _ = processes.Close() }()
	systems, err := processes.Systems(ctx, engines)
	if err != nil {
		return err
	}
	turns := filepath.Join(j.config.Output.Dir, turnsDir)
	t := trial.Trial{
		Systems: systems, Cases: cases, Repetitions: j.config.Run.Repetitions, Text: text, Seed: j.config.Run.Seed, Timeout: timeout,
		Dir: turns, Afresh: true, CreatedBy: j.options.CreatedBy, Versions: map[string]string{"onnxruntime": runtimes.VersionOf("ort")},
	}
	out, err := t.Run(ctx, p)
	if err != nil {
		return err
	}
	for _, w := range out.Warnings {
		j.options.Log.Warn(w)
	}
	for _, name := range []string{trial.RowsFile, trial.SamplesFile, trial.MachineFile} {
		if err := fsx.Copy(filepath.Join(turns, name), filepath.Join(dir, name)); err != nil {
			return fsx.Explain("writing", filepath.Join(dir, name), err)
		}
	}
	return fsx.Explain("removing", turns, os.RemoveAll(turns))
}

// runnables are the engines of the pipeline that run here.
func (j *job) runnables() ([]*Runnable, error) {
	var all []*Runnable
	for _, e := range j.engines {
		if e.validate == nil {
			continue
		}
		m, err := readManifest(e.build.path(manifestFile))
		if err != nil {
			return nil, err
		}
		model, err := j.engineModel(e)
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", e.Name(), err)
		}
		all = append(all, &Runnable{Name: e.Name(), Backend: e.Backend, Precision: e.Precision, Model: model, Manifest: m, Dir: e.build.dir})
	}
	return all, nil
}
