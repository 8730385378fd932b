package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/task"
)

// Options are what a run takes from the command line rather than from its file.
type Options struct {
	CreatedBy string // program and version, for the files' created_by
	Log       *slog.Logger
	// Progress opens a counter for the stage of that name; nil watches nothing.
	Progress func(stage string) Bar
	// Runtimes installs or finds what a stage needs.
	Runtimes task.Runtimes
	// Store is where engines are built and found again; nil is one in [output] dir.
	Store *store.Store
}

// Bar watches one stage and is told how it ended.
type Bar interface {
	progress.Counter
	Done(err error)
}

// Step is a stage as a plan shows it.
type Step struct {
	Stage  string  `json:"stage"`
	Cached bool    `json:"cached"`
	Why    string  `json:"why,omitempty"` // why it runs
	Last   float64 `json:"last_ms,omitempty"`
}

// Plan says which stages a run would execute and why, and changes nothing.
// A stage behind one that will run is to do as well: its inputs are not known.
func Plan(c *Config, o Options) ([]Step, error) {
	if err := fits(c); err != nil {
		return nil, err
	}
	j, err := newJob(c, o)
	if err != nil {
		return nil, err
	}
	return j.survey()
}

// survey finds what is cached and why the rest is not, and what is wrong with the files
// of the rest. What it verified need not be verified again.
func (j *job) survey() ([]Step, error) {
	var steps []Step
	var errs []error
	for _, s := range j.stages {
		errs = append(errs, s.newer())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, s := range j.stages {
		step := Step{Stage: s.name}
		if up := stale(s); up != "" {
			step.Why = up + " runs before it"
		} else {
			in, err := s.inputs()
			if err != nil {
				return nil, err
			}
			step.Why = s.cached(in)
		}
		if step.Cached = step.Why == ""; step.Cached {
			step.Last = s.sidecar.ElapsedMS
		} else if s.check != nil {
			errs = append(errs, s.check())
		}
		steps = append(steps, step)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return steps, nil
}

// preflight sees that every runtime is there before the first stage runs, so
// that none is found missing after minutes of work.
func (j *job) preflight(ctx context.Context) error {
	steps, err := j.survey()
	if err != nil {
		return err
	}
	asked := map[string]bool{"": true}
	var errs []error
	for i, s := range j.stages {
		if !steps[i].Cached && !asked[s.runtime] {
			asked[s.runtime] = true
			_, err := j.options.Runtimes.Get(ctx, s.runtime)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// stale is the first stage that s reads and that is not there yet.
func stale(s *stage) string {
	for _, n := range s.needs {
		if n.sidecar == nil {
			return n.name
		}
	}
	return ""
}

// Run executes what is not cached, stage by stage, and writes the report. The
// Result is complete also when a gate failed, which is an error of class gate.
func Run(ctx context.Context, c *Config, o Options) (*Result, error) {
	if err := fits(c); err != nil {
		return nil, err
	}
	j, err := newJob(c, o)
	if err != nil {
		return nil, err
	}
	defer j.close()
	unlock, err := lock(ctx, c.Output.Dir, o.Log)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := j.preflight(ctx); err != nil {
		return nil, err
	}
	for _, s := range j.stages {
		if err := j.step(ctx, s); err != nil {
			return nil, err
		}
	}
	return j.finish()
}

// step runs one stage unless its outputs still hold.
func (j *job) step(ctx context.Context, s *stage) error {
	if s.sidecar != nil {
		j.steps = append(j.steps, Step{Stage: s.name, Cached: true, Last: s.sidecar.ElapsedMS})
		j.options.Log.Debug("stage holds", "stage", s.name)
		return nil
	}
	in, err := s.inputs()
	if err != nil {
		return err
	}
	why := s.cached(in)
	if why == "" { // it was behind a stage that gave the same output again
		j.steps = append(j.steps, Step{Stage: s.name, Cached: true, Last: s.sidecar.ElapsedMS})
		return nil
	}
	j.options.Log.Debug("stage runs", "stage", s.name, "why", why)
	bar := j.options.bar(s.name)
	err = s.execute(ctx, in, j.options.CreatedBy, bar)
	bar.Done(err)
	if err != nil {
		return inStage(ctx, s, err)
	}
	j.steps = append(j.steps, Step{Stage: s.name, Why: why, Last: s.sidecar.ElapsedMS})
	return nil
}

// inStage says in which stage err happened. A signal is not the stage's fault.
func inStage(ctx context.Context, s *stage, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("stage %s: %w", s.name, err)
}

// lock keeps a second run out of an output directory and removes what a killed
// one left in it.
func lock(ctx context.Context, dir string, log *slog.Logger) (unlock func(), err error) {
	stages := filepath.Join(dir, "stages")
	if err := fsx.MkdirAll(stages); err != nil {
		return nil, err
	}
	l, err := filelock.Wait(ctx, filepath.Join(dir, ".lock"), func() {
		log.Info("another run uses the output directory, waiting", "dir", dir)
	})
	if err != nil {
		return nil, err
	}
	if err := sweep(dir, stages); err != nil {
		l.Unlock()
		return nil, err
	}
	return l.Unlock, nil
}

// sweep removes half-written files and stages. Stages lie below stages/ or, like
// engine/rtx-fp16, one level deeper, and also those that the file no longer names.
func sweep(dir, stages string) error {
	entries, err := os.ReadDir(stages)
	if err != nil {
		return fsx.Explain("reading", stages, err)
	}
	errs := []error{fsx.Sweep(dir), fsx.Sweep(stages)}
	for _, e := range entries {
		if e.IsDir() {
			errs = append(errs, fsx.Sweep(filepath.Join(stages, e.Name())))
		}
	}
	return errors.Join(errs...)
}

func (o Options) bar(name string) Bar {
	if o.Progress == nil {
		return silent{progress.Noop}
	}
	return o.Progress(name)
}

type silent struct{ progress.Counter }

func (silent) Done(error) {}
