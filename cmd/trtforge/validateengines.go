package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

// validation is one run of the command.
type validation struct {
	o       ValidateOptions
	g       *globals
	locate  *locate
	engines []*task.Runnable
	bundle  *validate.Bundle
	p       task.Validation
	ort     *ort.Client
	pytorch func() error // closes it
	temp    string
}

func (v *validation) close() {
	if v.bundle != nil {
		_ = v.bundle.Close()
	}
	if v.ort != nil {
		_ = v.ort.Close()
	}
	if v.pytorch != nil {
		_ = v.pytorch()
	}
	if v.temp != "" {
		_ = os.RemoveAll(v.temp)
	}
}

// open finds the engines that the arguments name.
func (v *validation) open(ctx context.Context, args []string) error {
	s, err := openStore(v.g, v.o.Store, store.View)
	if err != nil {
		return err
	}
	var errs []error
	for _, arg := range args {
		for _, part := range v.parts(arg) {
			r, idle := task.NotHere(ctx, part)
			if !idle {
				r, err = task.OpenRunnable(part, s, v.o.Threads)
			}
			if err == nil && r.Backend == task.PyTorch {
				err = fault.New(fault.Usage, "naming", part, "it is a checkpoint, and PyTorch in FP32 is what engines are held to", "name an engine or an .onnx file, and the checkpoint with --model")
			}
			if err == nil && slices.ContainsFunc(v.engines, func(e *task.Runnable) bool { return e.Name == r.Name }) {
				err = fault.New(fault.Usage, "naming", part, "two engines are called "+r.Name, "name them apart: NAME="+part)
			}
			errs = append(errs, err)
			if err == nil {
				v.engines = append(v.engines, r)
			}
		}
	}
	return errors.Join(errs...)
}

// parts are the engines of a pipeline's output directory, or the argument itself.
// Its bundle is the reference where none is named.
func (v *validation) parts(arg string) []string {
	stages := filepath.Join(arg, "stages")
	found, err := filepath.Glob(filepath.Join(stages, "engine", "*", engine.ManifestFile))
	if err != nil || len(found) == 0 {
		return []string{arg}
	}
	if v.o.Reference == "" {
		v.o.Reference = filepath.Join(stages, "reference")
	}
	for i, path := range found {
		found[i] = filepath.Base(filepath.Dir(path)) + "=" + filepath.Dir(path)
	}
	return found
}

// run measures every engine that runs here.
func (v *validation) run(ctx context.Context) (*validated, error) {
	out := &validated{Reference: v.bundle.Header, Source: v.source(), createdBy: createdBy()}
	if v.o.Windows > 0 {
		out.Windows = min(v.o.Windows, v.bundle.Windows)
	}
	noise, err := task.Noise(v.p.Dir)
	if err != nil {
		return nil, err
	}
	out.rows = noise
	for _, r := range v.engines {
		e := validatedEngine{Name: r.Name, Backend: r.Backend, Precision: string(r.Precision)}
		if e.Calibrated, err = task.CalibratedOn(r); err != nil {
			return nil, err
		}
		all, idle, err := v.engine(ctx, r)
		if err != nil {
			return nil, err
		}
		if e.Idle = idle; idle != "" {
			out.Engines = append(out.Engines, e)
			continue
		}
		out.rows = append(out.rows, all...)
		if len(validate.Flaws(all, r.Name)) == 0 {
			out.rows = append(out.rows, task.Floor(r, all)...)
		}
		out.Engines = append(out.Engines, e)
		if v.o.Tensors != "" {
			if err := v.tensors(ctx, r, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// engine measures one engine, or says why this machine does not run it.
func (v *validation) engine(ctx context.Context, r *task.Runnable) (all []rows.Row, idle string, err error) {
	p := v.p
	if r.Manifest != nil && r.Backend != "ortcpu" { // those have a process of another kind
		if idle = task.Idle(ctx, r.Manifest); idle != "" {
			return nil, idle, nil
		}
		processes := &task.Processes{Runtimes: v.locate, Timeout: v.timeout()}
		defer func() { err = errors.Join(err, processes.Close()) }()
		on, caller, err := processes.Own(ctx, r)
		if fault.Classify(err) == fault.Missing {
			return nil, err.Error(), nil
		}
		if err != nil {
			return nil, "", err
		}
		r, p.ORT = on, caller
	}
	bar := v.g.bars.open(r.Name)
	all, err = p.Engine(ctx, r, bar)
	bar.Done(err)
	return all, "", err
}

// tensors compares a Q/DQ graph's tensors with the FP32 graph's.
func (v *validation) tensors(ctx context.Context, r *task.Runnable, out *validated) error {
	if r.Precision != engine.INT8 && r.Precision != engine.W8 || r.Backend != "ortcpu" { // a plan has no tensors to look at
		return nil
	}
	bar := v.g.bars.open(r.Name + " tensors")
	length := min(v.bundle.Convention.Length-1, 256)
	all, err := jobs.Tensors(ctx, v.p.ORT, jobs.TensorsRequest{Model: r.Model, Reference: v.o.Tensors, IDs: v.p.Beginning(), Length: length, Windows: 4, Dir: v.p.Temp}, bar)
	bar.Done(err)
	if err == nil {
		out.Tensors = append(out.Tensors, engineTensors{r.Name, all})
	}
	return err
}
