package task

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// NoiseFile is the file of a bundle that holds the rows of PyTorch's own noise,
// where they were measured.
const NoiseFile = "noise.jsonl"

// noiseWindows are as many windows as tell PyTorch's noise; BF16 is slow on a CPU.
const noiseWindows = 8

// continuations are the greedy ones that a bundle keeps.
var continuations = worker.Greedy{Prompts: 16, PromptTokens: 32, NewTokens: 32}

// Recording asks for a reference bundle.
type Recording struct {
	Model      string // the checkpoint
	IDs        []int
	Convention validate.Convention
	Digests    validate.Digests
	Threads    int
	CreatedBy  string
	Noise      bool // PyTorch's BF16 against its FP32, too
	Seed       uint64
}

// Record has PyTorch score a text into dir, an existing directory.
func Record(ctx context.Context, c worker.Caller, r Recording, dir string, p progress.Counter) error {
	path, err := writeIDs(dir, r.IDs)
	if err != nil {
		return err
	}
	scored := worker.Scored{Model: r.Model, IDs: path, Convention: r.Convention.String(), Threads: r.Threads}
	_, err = worker.Bundle(ctx, c, worker.BundleRequest{
		Scored: scored, Out: dir, Digests: worker.Digests(r.Digests), CreatedBy: r.CreatedBy, Greedy: &continuations,
	}, p)
	if err == nil && r.Noise {
		err = r.noise(ctx, c, scored, dir, p)
	}
	return errors.Join(err, os.Remove(path))
}

// noise measures PyTorch's own noise on the first windows.
func (r Recording) noise(ctx context.Context, c worker.Caller, scored worker.Scored, dir string, p progress.Counter) error {
	path, err := writeIDs(dir, r.Convention.First(r.IDs, noiseWindows)) // over those of the text, which are scored
	if err != nil {
		return err
	}
	scored.IDs = path
	s := &validate.Score{}
	if err := worker.Noise(ctx, c, worker.NoiseRequest{Scored: scored, DType: "bfloat16"}, s, p); err != nil {
		return err
	}
	all, err := validate.Compare(s, validate.Options{Engine: NoiseBF16, Seed: r.Seed})
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(row rows.Row) bool {
		return !slices.Contains(floorNames, row.Name) && (!strings.HasPrefix(row.Name, "kl_") || row.Name == validate.KLByPosition)
	})
	return rows.WriteFile(filepath.Join(dir, NoiseFile), r.CreatedBy, all)
}

// Noise are the rows of PyTorch's own noise that a bundle holds; none where they
// were not measured.
func Noise(dir string) ([]rows.Row, error) {
	all, err := rows.ReadFile(filepath.Join(dir, NoiseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}

// ReferenceDigests identify what a reference of a text is about. text may be "".
func ReferenceDigests(model, text string, ids []int) (d validate.Digests, err error) {
	d.IDs = validate.IDsDigest(ids)
	if d.Model, err = validate.ModelDigest(model); err != nil {
		return d, err
	}
	if text != "" {
		if d.Text, err = fsx.Digest(text); err != nil {
			return d, err
		}
	}
	for _, f := range bpe.Files(model) { // of byte-level BPE; others have files of their own
		if _, err := os.Stat(f); err != nil {
			return d, nil
		}
	}
	d.Tokenizer, err = validate.FilesDigest(bpe.Files(model)...)
	return d, err
}
