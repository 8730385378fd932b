package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/pipeline"
)

// promptTokens is as much of the text as prompts are cut from: more than the largest
// batch takes.
const promptTokens = 512

// measure times every engine of a member in turns, each in a process of its own. What
// an earlier run measured of the same trial is not measured again.
func (w *workshop) measure(ctx context.Context, m *member) (out outcome, err error) {
	t := trial.Trial{
		Cases: cases(w.study.Workload.Scenarios, w.study.Measure.Modes), Repetitions: w.study.Measure.Repetitions, Rounds: w.study.Measure.Rounds,
		Text: w.prompts[:min(len(w.prompts), promptTokens)], Seed: w.study.Measure.Seed, Dir: w.results(m.Name), Afresh: true,
		CreatedBy: w.createdBy, Versions: versions(),
	}
	var closers []func() error
	defer func() {
		for _, c := range closers {
			err = errors.Join(err, c())
		}
	}()
	for _, name := range w.study.Measure.Engines {
		s, closer, err := w.system(m, name)
		if err != nil {
			return out, err
		}
		t.Systems, closers = append(t.Systems, s), append(closers, closer)
	}
	w.say("%s: %d engines, %d cases, %d requests each", m.Name, len(t.Systems), len(t.Cases), t.Repetitions)
	got, err := t.Run(ctx, w.counter())
	if err != nil {
		return out, fmt.Errorf("model %s: %w", m.Name, err)
	}
	if got.Resumed > 0 {
		w.say("%s: %d of %d requests were there already", m.Name, got.Resumed, len(got.Samples))
	}
	out = outcome{member: m, Samples: got.Samples, Machine: got.Machine, Warnings: got.Warnings}
	out.Parity, err = w.parity(ctx, m, t.Systems)
	return out, err
}

// results is the directory of a model's figures.
func (w *workshop) results(model string) string {
	return filepath.Join(w.study.Output.Dir, "results", model)
}

// system is an engine of a member with the process that will run it.
func (w *workshop) system(m *member, name string) (s trial.System, closer func() error, err error) {
	key, built := m.Engines[name]
	arg := key
	if !built {
		arg = name + ":" + m.Checkpoint
	}
	r, err := pipeline.OpenRunnable(arg, w.store, ort.Threads())
	if err != nil {
		return s, nil, err
	}
	s = trial.System{Name: name, Model: r.Model, Key: key}
	if built {
		s.Model.Spin, s.BuildMS = true, r.Manifest.Measured.BuildMS
		c := &ort.Client{Library: w.library, Log: w.log}
		s.Caller = c
		return s, c.Close, nil
	}
	python, ok := runtimes.Find(string(worker.Reference))
	if !ok {
		return s, nil, fault.New(fault.Missing, "measuring", name, "PyTorch is not installed", "run trtforge setup reference, or leave torch out of --engines")
	}
	s.Key = fmt.Sprintf("%s %s worker %s", m.Digest, python.VersionText(), worker.Digest())
	c := &worker.Client{Kind: worker.Reference, Options: worker.Options{Python: python.Python, Log: w.log}}
	s.Caller = c
	return s, c.Close, nil
}
