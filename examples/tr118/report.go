package main

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/task"
)

// comparisonFile is the study's tables alone, to be read as text.
const comparisonFile = "comparison.md"

// report writes a results directory for each model, one of all with the study's own
// parts, and the comparison, and says where they are.
func (w *workshop) report(f *findings, out io.Writer) error {
	var dirs []string
	for _, o := range f.Outcomes {
		d, err := w.data(o)
		if err != nil {
			return err
		}
		dir := w.results(o.Name)
		if err := report.Write(dir, d); err != nil {
			return err
		}
		dirs = append(dirs, dir)
	}
	d, err := report.Read(dirs...)
	if err != nil {
		return err
	}
	d.Title, d.Created, d.FirstLine = "TR118 again", now(), f.verdict()
	if d.Asides, err = f.asides(); err != nil {
		return err
	}
	dir := w.study.Output.Dir
	if err := report.Write(dir, *d); err != nil {
		return err
	}
	if err := fsx.WriteFile(filepath.Join(dir, comparisonFile), f.markdown); err != nil {
		return err
	}
	f.Created, f.Took = d.Created, time.Since(w.begin)
	if err := fsx.WriteFile(filepath.Join(dir, figuresFile), f.figures); err != nil {
		return err
	}
	if err := f.figures(out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s\ncomparison: %s\nfigures: %s\nreport: %s\n", f.headline(),
		filepath.Join(dir, comparisonFile), filepath.Join(dir, figuresFile), filepath.Join(dir, report.HTMLFile))
	return err
}

func now() string { return time.Now().Format("2006-01-02 15:04 MST") }

// markdown writes the study's own parts.
func (f *findings) markdown(w io.Writer) error {
	all, err := f.asides()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "# TR118 again: %d models, %d scenarios, %s\n\n", len(f.Outcomes), len(f.study.Workload.Scenarios), strings.Join(f.study.Measure.Modes, ", "))
	for _, a := range all {
		if err == nil {
			_, err = io.WriteString(w, a.Markdown())
		}
	}
	return err
}

// data is what the report shows of one model.
func (w *workshop) data(o outcome) (report.Data, error) {
	model := report.Model{Name: o.Name, Digest: o.Digest, Parameters: o.Parameters, Bytes: 4 * o.Parameters, Hidden: int(o.Width), Positions: int(w.study.Shape.Positions)}
	d := report.Data{
		CreatedBy: w.createdBy, Title: "TR118, " + o.Name, Created: now(), Contract: o.Contract, Plan: o.Plans["orttrt cached"],
		Rows: append(bench.Rows(o.Samples), o.matches()...), Warnings: o.Warnings, Limits: w.study.Gates,
		Runs: []report.Run{{Command: w.command, Created: now(), Author: w.createdBy, Model: model, Machine: &o.Machine, Inputs: w.inputs(o)}},
	}
	for _, name := range slices.Sorted(maps.Keys(o.Machine.Versions)) {
		d.Runs[0].Versions = append(d.Runs[0].Versions, report.Fact{Name: name, Value: o.Machine.Versions[name]})
	}
	for _, c := range cases(w.study.Workload.Scenarios, w.study.Measure.Modes) {
		if !slices.ContainsFunc(d.Scenarios, func(s profiles.Scenario) bool { return s.Name == c.Name }) {
			d.Scenarios = append(d.Scenarios, c.Scenario)
		}
	}
	if err := w.engines(o, model, &d); err != nil {
		return d, err
	}
	d.Judge()
	return d, nil
}

// inputs are what a model's figures depend on beside the program.
func (w *workshop) inputs(o outcome) []report.Fact {
	facts := []report.Fact{
		{Name: "weights", Value: fmt.Sprintf("random, seed %d", w.study.Shape.Seed)},
		{Name: "calibration text", Value: w.textDigest},
		{Name: "order's seed", Value: fmt.Sprint(w.study.Measure.Seed)},
	}
	for _, p := range o.Parity {
		facts = append(facts, report.Fact{Name: "PyTorch's tokens, " + p.Engine, Value: fmt.Sprintf("%d of %d", p.Same, p.Of)})
	}
	return facts
}

// engines adds those that were measured, with what building them took, and those that
// need a GPU with the profiles that they would have.
func (w *workshop) engines(o outcome, model report.Model, d *report.Data) error {
	for _, name := range w.study.Measure.Engines {
		key, built := o.Engines[name]
		e := report.Engine{Name: name, Model: &model, Manifest: engine.Manifest{Backend: task.PyTorch, Precision: engine.FP32}}
		if built {
			entry, err := w.store.Get(key)
			if err != nil {
				return err
			}
			e.Manifest = *entry.Manifest
			d.Rows = append(d.Rows, rows.Exact(name, "engine_bytes", "bytes", float64(e.Manifest.Bytes)), rows.Exact(name, bench.Build, "ms", e.Manifest.Measured.BuildMS))
		} else if strings.Contains(name, "bf16") {
			e.Manifest.Precision = engine.BF16
		}
		d.Engines = append(d.Engines, e)
	}
	for _, name := range gpuEngines {
		backend, precision, _ := strings.Cut(name, "-")
		e := report.Engine{Name: name, Model: &model, Idle: needsGPU, Manifest: engine.Manifest{Backend: backend, Precision: engine.Precision(precision)}}
		if p := o.Plans[backend+" cached"]; p != nil {
			e.Manifest.Profiles = p.Profiles
		}
		if key, built := o.Engines[name]; built {
			entry, err := w.store.Get(key)
			if err != nil {
				return err
			}
			e.Manifest = *entry.Manifest
		}
		d.Engines = append(d.Engines, e)
	}
	return nil
}
