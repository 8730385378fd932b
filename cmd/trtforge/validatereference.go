package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/text"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

const live = "live"

// source is where the reference's figures come from.
func (v *validation) source() string {
	if v.p.Live != nil {
		return "PyTorch, live"
	}
	return v.p.Dir
}

// prepare reads the text, opens or records the reference, and starts ONNX Runtime.
// What the engines lack is told before minutes of work.
func (v *validation) prepare(ctx context.Context) (err error) {
	if v.temp, err = os.MkdirTemp("", "trtforge-validate-*"); err != nil {
		return fsx.Explain("making", "a temporary directory", err)
	}
	ids, err := v.ids(ctx, v.o.Text, v.o.IDs)
	if err != nil {
		return err
	}
	if err := v.unseen(ctx, ids); err != nil {
		return err
	}
	v.p = task.Validation{IDs: ids, Text: validate.IDsDigest(ids), Windows: v.o.Windows, Seed: v.o.Seed, Temp: v.temp, Model: v.o.Model, Threads: v.o.Threads}
	for _, r := range v.engines {
		err = errors.Join(err, v.p.Unseen(r))
	}
	if err != nil {
		return err
	}
	if v.o.Reference == "" || v.o.Reference == live {
		err = v.live(ctx, ids)
	} else {
		err = v.recorded(ids)
	}
	if err != nil {
		return err
	}
	for _, r := range v.engines {
		if r.Model.Contract != nil {
			err = errors.Join(err, v.p.Fits(r))
		}
	}
	if err != nil {
		return err
	}
	runtime, err := v.locate.Get(ctx, "ort")
	if err != nil {
		return err
	}
	v.ort = &ort.Client{Library: runtime.Library, Run: v.timeout()}
	v.p.ORT = v.ort
	return nil
}

// recorded opens a bundle and holds it to what is in hand. A bundle of the text's
// beginning is good for that.
func (v *validation) recorded(ids []int) (err error) {
	if v.bundle, err = validate.Read(v.o.Reference); err != nil {
		return err
	}
	v.p.Bundle, v.p.Dir = v.bundle, v.o.Reference
	if v.bundle.Tokens < len(ids) && v.bundle.Digests.IDs == validate.IDsDigest(ids[:v.bundle.Tokens]) {
		ids = ids[:v.bundle.Tokens]
	}
	v.p.IDs = ids
	want := validate.Digests{IDs: validate.IDsDigest(ids)}
	if v.o.Model != "" {
		if _, err := os.Stat(filepath.Join(v.o.Model, "config.json")); err == nil {
			if want.Model, err = validate.ModelDigest(v.o.Model); err != nil {
				want.Model = "" // a tokenizer alone
			}
		}
	}
	c := v.bundle.Convention
	if v.o.Convention != "" || v.o.Window != 0 {
		if c, err = task.ConventionOf(v.o.Convention, v.o.Window, 0, v.o.Model); err != nil {
			return err
		}
	}
	return v.bundle.Verify(want, c)
}

// live has PyTorch record a bundle of the text, and run beside each engine.
func (v *validation) live(ctx context.Context, ids []int) error {
	if v.o.Model == "" {
		return fault.New(fault.Usage, "", "", "--reference live runs a checkpoint, and none is named", "give --model DIR, or the directory of a bundle")
	}
	dir := filepath.Join(v.temp, "reference")
	if err := v.recordInto(ctx, ids, dir); err != nil {
		return err
	}
	var err error
	if v.bundle, err = validate.Read(dir); err != nil {
		return err
	}
	v.p.IDs, v.p.Bundle, v.p.Dir, v.p.Windows, v.p.Live = ids[:v.bundle.Tokens], v.bundle, dir, 0, v.torch()
	return nil
}

// record is --reference-only.
func (v *validation) record(ctx context.Context) (err error) {
	if v.temp, err = os.MkdirTemp("", "trtforge-validate-*"); err != nil {
		return fsx.Explain("making", "a temporary directory", err)
	}
	ids, err := v.ids(ctx, v.o.Text, v.o.IDs)
	if err != nil {
		return err
	}
	if err := v.recordInto(ctx, ids, v.o.Out); err != nil {
		return err
	}
	b, err := validate.Read(v.o.Out)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	return v.g.print(b.Header, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s: perplexity %.4f by %s, %d tokens in %d windows\n", v.o.Out, b.Perplexity, b.Convention, b.Rows, b.Windows)
		return err
	})
}

// recordInto records a bundle of the text, or of its first windows.
func (v *validation) recordInto(ctx context.Context, ids []int, dir string) error {
	positions, err := task.Positions(v.o.Model)
	if err != nil {
		return err
	}
	c, err := task.ConventionOf(v.o.Convention, v.o.Window, positions, v.o.Model)
	if err != nil {
		return err
	}
	ids = c.First(ids, v.o.Windows)
	if c.Count(len(ids)) == 0 {
		return c.Short(len(ids))
	}
	r := task.Recording{Model: v.o.Model, IDs: ids, Convention: c, Threads: v.o.Threads, CreatedBy: createdBy(), Noise: !v.o.NoNoise, Seed: v.o.Seed}
	if r.Digests, err = task.ReferenceDigests(v.o.Model, v.o.Text, ids); err != nil {
		return err
	}
	pytorch, err := v.torch()(ctx)
	if err != nil {
		return err
	}
	bar := v.g.bars.open("reference")
	err = fsx.WriteDir(dir, func(tmp string) error { return task.Record(ctx, pytorch, r, tmp, bar) })
	bar.Done(err)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// torch starts PyTorch at the first call, and again after it has died.
func (v *validation) torch() func(context.Context) (*child.Child, error) {
	var running *child.Child
	return func(ctx context.Context) (*child.Child, error) {
		if running != nil && running.Alive() {
			return running, nil
		}
		runtime, err := v.locate.Get(ctx, "reference")
		if err != nil {
			return nil, err
		}
		if v.pytorch != nil {
			_ = v.pytorch()
		}
		running, err = worker.Start(ctx, worker.Reference, worker.Options{Python: runtime.Python, Run: v.timeout()})
		if err != nil {
			return nil, err
		}
		v.pytorch = running.Close
		return running, nil
	}
}

// timeout is the limit of a job; a pass over a text may take hours.
func (v *validation) timeout() time.Duration {
	if v.o.Timeout > 0 {
		return v.o.Timeout
	}
	return -1
}

// ids are the tokens of a text, by the model's own tokenizer: ours where it is
// byte-level BPE, else PyTorch's.
func (v *validation) ids(ctx context.Context, path, ids string) ([]int, error) {
	if ids == "" {
		return task.TokensOf(ctx, v.o.Model, path, v.temp, v.torch())
	}
	wide, err := text.IDs(ids)
	narrow := make([]int, len(wide))
	for i, id := range wide {
		narrow[i] = int(id)
	}
	return narrow, err
}

// unseen refuses a text that shares a passage with the one that ranges come from.
func (v *validation) unseen(ctx context.Context, ids []int) error {
	if v.o.Calibration == "" {
		return nil
	}
	seen, err := v.ids(ctx, v.o.Calibration, "")
	if err != nil {
		return err
	}
	calibrated := calib.Text{Name: v.o.Calibration, IDs: task.Widen(seen)}
	evaluated := calib.Text{Name: v.o.Text + v.o.IDs, IDs: task.Widen(ids)}
	if t, err := bpe.Load(v.o.Model); err == nil { // else PyTorch has made the tokens, and they are counted
		calibrated = task.TextOf(t, v.o.Calibration, seen)
		if v.o.Text != "" {
			evaluated = task.TextOf(t, v.o.Text, ids)
		}
	}
	return calib.Overlap(calibrated, evaluated)
}
