package pipeline

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

// convention is how the evaluation text is cut.
func (j *job) convention() (validate.Convention, error) {
	c, err := contract.Load(j.export.path(contractFile))
	if err != nil {
		return validate.Convention{}, err
	}
	return task.ConventionOf(j.config.Text.Convention, j.config.Text.Window, c.MaxPositions, j.config.Model.Path)
}

// digests identify what a reference is about.
func (j *job) digests(ids []int) (validate.Digests, error) {
	model, err1 := validate.ModelDigest(j.config.Model.Path)
	text, err2 := fsx.Digest(j.config.Text.Evaluate)
	tokenizer, err3 := j.tokenizerDigest()
	return validate.Digests{Model: model, Text: text, Tokenizer: tokenizer, IDs: validate.IDsDigest(ids)}, errors.Join(err1, err2, err3)
}

// runReference has PyTorch score the text, or takes the recorded bundle once it
// has been held to model, text and tokenizer.
func (j *job) runReference(ctx context.Context, dir string, p progress.Counter) error {
	ids, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	convention, err := j.convention()
	if err != nil {
		return err
	}
	digests, err := j.digests(ids)
	if err != nil {
		return err
	}
	if bundle := j.config.Reference.Bundle; bundle != "" {
		return copyBundle(bundle, dir, digests, convention)
	}
	c, err := j.worker(ctx, worker.Reference)
	if err != nil {
		return err
	}
	return task.Record(ctx, c, task.Recording{
		Model: j.config.Model.Path, IDs: ids, Convention: convention, Digests: digests, Threads: j.threads,
		CreatedBy: j.options.CreatedBy, Noise: true, Seed: j.config.Run.Seed,
	}, dir, p)
}

// copyBundle takes a recorded bundle that is about what is in hand.
func copyBundle(from, to string, d validate.Digests, c validate.Convention) error {
	b, err := validate.Read(from)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	if err := b.Verify(d, c); err != nil {
		return err
	}
	for _, name := range []string{validate.HeaderFile, validate.DataFile, task.NoiseFile} {
		err := fsx.Copy(filepath.Join(from, name), filepath.Join(to, name))
		if name == task.NoiseFile && errors.Is(err, fs.ErrNotExist) {
			err = nil // PyTorch's noise was not measured
		}
		if err != nil {
			return err
		}
	}
	return nil
}
