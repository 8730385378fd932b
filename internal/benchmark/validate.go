package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/validate"
)

// The text of the figures of validation: windows of random tokens, which cost what
// others do.
const (
	validateWindows = 8
	validateAsked   = 10 // percent of the run's time that everything else may take
	validateRuns    = 7
)

var validateConvention = validate.Convention{Name: validate.HFNonOverlap, Length: 512}

// validateFigures: what perplexity and KL divergence against PyTorch's bundle take
// beside ONNX Runtime's own run, and the whole against PyTorch's perplexity alone.
func validateFigures(w *workshop) error {
	checkpoint, graph, built, remove, err := w.floatEngine("validate")
	if err != nil {
		return err
	}
	defer func() { _ = remove() }()
	ids, bundle, err := w.bundle(checkpoint)
	if err != nil {
		return err
	}
	ours := func(what string) func() (*side, error) {
		return func() (*side, error) { return self("validate", built, graph, bundle, what) }
	}
	if err := overhead("validate-overhead", validateAsked, validateRuns, ours("overhead"), w); err != nil {
		return err
	}
	return w.compare(plan{
		name: "validate-124m-torch", unit: "ms", reps: 1, ours: ours("whole"),
		anchor: func() (*side, error) {
			return python("torch_ppl.py", checkpoint, ids, strconv.Itoa(validateConvention.Length), strconv.Itoa(ort.Threads()))
		},
	})
}

// validateText is random ids, the same each time.
func validateText() []int {
	r := rand.New(rand.NewPCG(1, 1))
	ids := make([]int, validateWindows*validateConvention.Length)
	for i := range ids {
		ids[i] = r.IntN(int(small.Vocab))
	}
	return ids
}

// bundle writes the text and has PyTorch score them.
func (w *workshop) bundle(checkpoint string) (ids, dir string, err error) {
	python, ok := runtimes.Find("oracle")
	if !ok {
		return "", "", fmt.Errorf("runtime oracle is not installed: run trtforge setup oracle")
	}
	ids, dir = w.path("validate.ids"), w.path("bundle")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", err
	}
	if err := os.WriteFile(ids, validate.EncodeIDs(validateText()), 0o644); err != nil {
		return "", "", err
	}
	c, err := worker.Start(context.Background(), worker.Reference, worker.Options{Python: python.Python, Log: os.Stderr})
	if err != nil {
		return "", "", err
	}
	defer func() { _ = c.Close() }()
	_, err = worker.Bundle(context.Background(), c, worker.BundleRequest{
		Scored: worker.Scored{Model: checkpoint, IDs: ids, Convention: validateConvention.String(), Threads: ort.Threads()}, Out: dir, CreatedBy: "bench",
	}, progress.Noop)
	return ids, dir, err
}

// validateSide scores the text in an ONNX Runtime child and answers how long it takes
// from the bundle on disk to rows with their intervals, but for opening the engine, in
// ms, or by how many percent that is longer than the runs.
func validateSide(args []string) error {
	built, graph, bundle, what := args[0], args[1], args[2], args[3]
	r, ok := runtimes.Find("ort")
	if !ok {
		return fmt.Errorf("ONNX Runtime is not installed: run trtforge setup ort")
	}
	exe, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	request := jobs.ScoreRequest{IDs: validateText(), Convention: validateConvention, Bundle: bundle, Phase: jobs.Prefill, Batch: 1}
	request.Path, request.Spin = built, true
	if err := withModel(graph, func(c *contract.Contract) { request.Contract = c }); err != nil {
		return err
	}
	var log strings.Builder
	client := &ort.Client{Library: r.Library, Exe: exe, Log: &log}
	defer func() { _ = client.Close() }()
	return answer(func() (string, error) {
		start := time.Now()
		s, err := jobs.Score(context.Background(), client, request, progress.Noop)
		if err != nil {
			return "", fmt.Errorf("%w\n%s", err, log.String())
		}
		if _, err := validate.Compare(s, validate.Options{Engine: "ours"}); err != nil {
			return "", err
		}
		took := milliseconds(time.Since(start)) - s.LoadMS
		if what == "whole" {
			return fmt.Sprint(took), nil
		}
		return fmt.Sprint(100 * (took - s.RunMS) / s.RunMS), nil
	})
}
