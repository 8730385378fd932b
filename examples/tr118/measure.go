package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/task"
)

// promptTokens is as much of the text as prompts are cut from: more than the largest
// batch takes.
const promptTokens = 512

// warmup ends where requests are steady. It is bounded, because on a busy machine they
// never are, and thirty requests before each of 1,944 turns would make hours of its half; a
// turn that began unsteady says so.
var warmup = bench.Warmup{Max: 12, MaxMS: 5000}

// measure times every engine of a member in turns, each in a process of its own. What
// an earlier run measured of the same trial is not measured again.
func (w *workshop) measure(ctx context.Context, m *member) (out outcome, err error) {
	t := trial.Trial{
		Cases: cases(w.study.Workload.Scenarios, w.study.Measure.Modes), Repetitions: w.study.Measure.Repetitions, Rounds: w.study.Measure.Rounds,
		Text: w.prompts[:min(len(w.prompts), promptTokens)], Seed: w.study.Measure.Seed, Dir: w.results(m.Name), Afresh: true,
		CreatedBy: w.createdBy, Versions: versions(), Warmup: warmup,
	}
	processes := &task.Processes{Runtimes: here{}, Log: func(string) (io.Writer, error) { return w.log, nil }}
	defer func() { err = errors.Join(err, processes.Close()) }()
	engines, err := w.runnables(m)
	if err != nil {
		return out, err
	}
	if t.Systems, err = processes.Systems(ctx, engines); err != nil {
		return out, err
	}
	w.say("%s: %d engines, %d cases, %d requests each", m.Name, len(t.Systems), len(t.Cases), t.Repetitions)
	got, err := t.Run(ctx, w.counter())
	if err != nil {
		return out, fmt.Errorf("model %s: %w", m.Name, err)
	}
	if got.Resumed > 0 {
		w.say("%s: %d of %d requests were there already", m.Name, got.Resumed, len(got.Samples))
	}
	out = outcome{member: m, Samples: got.Samples, Resumed: got.Resumed, Machine: got.Machine, Warnings: got.Warnings}
	out.Parity, err = w.parity(ctx, m, t.Systems)
	return out, err
}

// results is the directory of a model's figures.
func (w *workshop) results(model string) string {
	return filepath.Join(w.study.Output.Dir, "results", model)
}

// runnables are the engines of a member: those of the store by their keys, and its
// checkpoint for PyTorch.
func (w *workshop) runnables(m *member) (all []*task.Runnable, err error) {
	for _, name := range w.study.Measure.Engines {
		arg, built := m.Engines[name]
		if !built {
			arg = name + ":" + m.Checkpoint
		}
		r, err := task.OpenRunnable(arg, w.store, ort.Threads())
		if err != nil {
			return nil, err
		}
		r.Name = name
		all = append(all, r)
	}
	return all, nil
}

// here finds runtimes that are installed.
type here struct{}

// Get is the runtime of that name; one that is not there is an error of class missing.
func (here) Get(_ context.Context, name string) (runtimes.Runtime, error) {
	r, ok := runtimes.Find(name)
	if !ok {
		return r, fault.New(fault.Missing, "running the study", name, "it is not installed", "run trtforge setup "+name+", or choose --engines that do without it")
	}
	return r, nil
}
