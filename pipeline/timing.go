package pipeline

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/task"
)

// turnsDir holds the samples of a bench stage that is under way, so that a run that
// was killed goes on there.
const turnsDir = "bench-turns"

// runBench times all engines in turns.
func (j *job) runBench(ctx context.Context, dir string, p progress.Counter) error {
	text, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	engines, err := j.runnables()
	if err != nil {
		return err
	}
	requests, err := j.config.Requests((&Runnables{Engines: engines}).Positions(), j.config.Run.Repetitions, j.config.Run.Seed)
	if err != nil {
		return err
	}
	cases, err := bench.Cases(j.config.Workload, bench.Spread{Requests: requests})
	if err != nil {
		return err
	}
	timeout, memory := j.limits(0)
	processes := &task.Processes{Runtimes: j.options.Runtimes, Log: func(name string) (io.Writer, error) { return j.log("bench-" + name) }, Timeout: timeout, Memory: memory}
	defer func() { _ = processes.Close() }()
	systems, err := processes.Systems(ctx, engines)
	if err != nil {
		return err
	}
	turns := filepath.Join(j.config.Output.Dir, turnsDir)
	t := trial.Trial{
		Systems: systems, Cases: cases, Repetitions: j.config.Run.Repetitions, Until: j.config.Run.Precision(),
		Warmup: bench.Warmup{Exactly: j.config.Run.Warmup}, Text: text, Seed: j.config.Run.Seed, Timeout: timeout,
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

// Requests are those of the workload's trace and distribution that are measured, as
// many as there are repetitions, drawn by the seed; none where there is neither. A
// request that is longer than positions is an error of class usage unless the
// workload leaves it out.
func (c *Config) Requests(positions, repetitions int, seed uint64) ([]bench.Request, error) {
	w := c.Workload
	draw := task.NewDraw(repetitions, seed)
	if _, err := w.Open(profiles.TraceOptions{Tokens: task.TextTokens(c.Model.Path), Each: draw.Add}, positions); err != nil {
		return nil, err
	}
	if err := w.Fit(positions); err != nil {
		return nil, err
	}
	err := task.DrawLengths(w, positions, draw)
	return draw.Requests, err
}

// runnables are the engines of the pipeline that run here.
func (j *job) runnables() ([]*task.Runnable, error) {
	var all []*task.Runnable
	for _, e := range j.engines {
		if e.validate == nil {
			continue
		}
		r, err := j.runnable(e)
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", e.Name(), err)
		}
		all = append(all, r)
	}
	return all, nil
}

// runnable is an engine of the pipeline as a job runs it.
func (j *job) runnable(e *engineStage) (*task.Runnable, error) {
	m, err := engine.LoadManifest(e.build.path(manifestFile))
	if err != nil {
		return nil, err
	}
	r := &task.Runnable{Name: e.Name(), Backend: e.Backend, Precision: e.Precision, Manifest: m, Dir: e.build.dir}
	r.Model = jobs.Model{Path: e.build.path(m.File), Threads: j.threads, Optimize: ort.OptimizeAll}
	if m.Steps != "" {
		r.Model.Steps = e.build.path(m.Steps)
	}
	r.Model.Contract, err = contract.Load(j.model(e.EngineConfig).path(contractFile))
	return r, err
}
