package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/validate"
)

// convention is how the evaluation text is cut.
func (j *job) convention() (validate.Convention, error) {
	c, err := contract.Load(j.export.path(contractFile))
	if err != nil {
		return validate.Convention{}, err
	}
	length := j.config.Text.Window
	if length == 0 {
		length = 512
		if c.MaxPositions > 0 {
			length = min(length, c.MaxPositions)
		}
	}
	if c.MaxPositions > 0 && length > c.MaxPositions {
		return validate.Convention{}, fault.New(fault.Usage, "checking pipeline", "[text] window",
			fmt.Sprintf("%d tokens are more than the model's %d positions", length, c.MaxPositions), "choose a smaller window")
	}
	return validate.Convention{Name: validate.HFNonOverlap, Length: length}, nil
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
	path := filepath.Join(dir, "ids.bin")
	if err := os.WriteFile(path, validate.EncodeIDs(ids), 0o644); err != nil {
		return fsx.Explain("writing", path, err)
	}
	_, err = worker.Bundle(ctx, c, worker.BundleRequest{
		Scored: worker.Scored{Model: j.config.Model.Path, IDs: path, Convention: convention.String(), Threads: j.threads}, Out: dir, Digests: worker.Digests(digests), CreatedBy: j.options.CreatedBy,
	}, p)
	return err
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
	for _, name := range []string{validate.HeaderFile, validate.DataFile} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return fsx.Explain("reading reference", name, err)
		}
		if err := fsx.WriteFile(filepath.Join(to, name), func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(data))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
