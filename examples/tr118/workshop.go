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
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/filelock"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/task"
)

// workshop is one run: what all models share.
type workshop struct {
	study     *study
	published *published
	createdBy string
	command   string // that was given
	talk      io.Writer
	begin     time.Time

	store      *store.Store
	log        *os.File    // what children print
	ort        *ort.Client // that calibrates and builds
	builder    *ortcpu.Builder
	tokenizer  *bpe.Tokenizer
	calibrates []int // tokens of the calibration text
	prompts    []int // of the evaluation text
	textDigest string
	ends       []func() error
}

// open locks the output directory and reads the texts.
func open(s *study, talk io.Writer) (w *workshop, err error) {
	w = &workshop{study: s, createdBy: "trtforge examples/tr118", talk: talk, begin: time.Now()}
	defer func() {
		if err != nil {
			_ = w.close()
		}
	}()
	if w.published, err = readPublished(); err != nil {
		return nil, err
	}
	if err := w.lock(); err != nil {
		return nil, err
	}
	if err := w.texts(); err != nil {
		return nil, err
	}
	r, err := here{}.Get(context.Background(), "ort")
	if err != nil {
		return nil, err
	}
	if w.log, err = os.Create(filepath.Join(s.Output.Dir, "children.log")); err != nil {
		return nil, fsx.Explain("writing log", s.Output.Dir, err)
	}
	w.ort = &ort.Client{Library: r.Library, Log: w.log}
	w.ends = append(w.ends, w.log.Close, w.ort.Close)
	w.builder = &ortcpu.Builder{
		Version: runtimes.VersionOf("ort"), CreatedBy: w.createdBy,
		Start: func(context.Context) (ortcpu.Caller, error) { return w.ort, nil },
	}
	w.store, err = store.Open(filepath.Join(s.Output.Dir, "store"))
	return w, err
}

// lock keeps a second run away, which would measure beside the first and sweep what
// it works on.
func (w *workshop) lock() error {
	dir := w.study.Output.Dir
	if err := fsx.MkdirAll(dir); err != nil {
		return err
	}
	l, err := filelock.Try(filepath.Join(dir, ".lock"))
	if err != nil {
		return err
	}
	if l == nil {
		return fault.New(fault.Runtime, "running the study", dir, "another run is at work there", "wait for it, or name another directory with -o")
	}
	w.ends = append(w.ends, func() error { l.Unlock(); return nil })
	family, err := filepath.Glob(filepath.Join(dir, "family", "*"))
	for _, m := range append(family, dir) {
		err = errors.Join(err, fsx.Sweep(m))
	}
	return err
}

// texts reads both texts, which must not overlap.
func (w *workshop) texts() (err error) {
	t := w.study.Text
	if !exists(t.Calibrate) || !exists(t.Evaluate) {
		return fault.New(fault.Missing, "reading texts", t.Calibrate, "the texts are not cut yet", "make build/demo/text/evaluate.txt")
	}
	if w.tokenizer, err = bpe.Load(t.Tokenizer); err != nil {
		return err
	}
	if w.calibrates, err = task.Tokens(w.tokenizer, t.Calibrate); err != nil {
		return err
	}
	if w.prompts, err = task.Tokens(w.tokenizer, t.Evaluate); err != nil {
		return err
	}
	if w.textDigest, err = fsx.Digest(t.Calibrate); err != nil {
		return err
	}
	return calib.Overlap(task.TextOf(w.tokenizer, t.Calibrate, w.calibrates), task.TextOf(w.tokenizer, t.Evaluate, w.prompts))
}

// leak is what trtforge answers to the study's calibration, which took the
// evaluation's own text.
func (w *workshop) leak() error {
	same := task.TextOf(w.tokenizer, filepath.Base(w.study.Text.Evaluate), w.prompts)
	return calib.Overlap(same, same)
}

// close ends the children and gives the directory back, in reverse order.
func (w *workshop) close() error {
	var errs []error
	for i := len(w.ends) - 1; i >= 0; i-- {
		errs = append(errs, w.ends[i]())
	}
	return errors.Join(errs...)
}

// say prints a line with the time since the beginning.
func (w *workshop) say(format string, args ...any) {
	_, _ = fmt.Fprintf(w.talk, "%6.1fs  %s\n", time.Since(w.begin).Seconds(), fmt.Sprintf(format, args...))
}

func (w *workshop) counter() progress.Counter { return progress.Noop }
