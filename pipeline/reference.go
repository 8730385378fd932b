package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	return ConventionOf(j.config.Text.Convention, j.config.Text.Window, c.MaxPositions, j.config.Model.Path)
}

// ConventionOf is the convention of that name, hf-nonoverlap where none is named,
// with windows of so many tokens, or the smaller of 512 and the model's positions
// where that is 0. llama-chunks has BOS where the tokenizer in dir asks for it.
func ConventionOf(name string, window, positions int, dir string) (validate.Convention, error) {
	c := validate.Convention{Name: validate.HFNonOverlap, Length: window}
	if window == 0 {
		if c.Length = 512; positions > 0 {
			c.Length = min(c.Length, positions)
		}
	}
	if name != "" {
		var err error
		if c, err = validate.ParseConvention(name); err != nil {
			return c, err
		}
		if window != 0 && window != c.Length {
			return c, fault.New(fault.Usage, "choosing", "the convention", fmt.Sprintf("%s has windows of %d tokens, and %d are asked for", c, c.Length, window), "leave one out")
		}
	}
	if positions > 0 && c.Length > positions {
		return c, fault.New(fault.Usage, "choosing", "the convention", fmt.Sprintf("a window of %d tokens is longer than the model's %d positions", c.Length, positions), "choose a smaller window")
	}
	if c.Name == validate.LlamaChunks && !c.AddBOS && dir != "" {
		c.BOS, c.AddBOS = addsBOS(dir)
	}
	return c, nil
}

// addsBOS is the token that a tokenizer puts before each text, where it does, by
// the files that llama.cpp's converter reads.
func addsBOS(dir string) (id int, adds bool) {
	var tokenizer struct {
		Add bool `json:"add_bos_token"`
	}
	var config struct {
		BOS *int `json:"bos_token_id"`
	}
	for name, into := range map[string]any{"tokenizer_config.json": &tokenizer, "config.json": &config} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || json.Unmarshal(b, into) != nil {
			return 0, false
		}
	}
	if !tokenizer.Add || config.BOS == nil {
		return 0, false
	}
	return *config.BOS, true
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
	return Record(ctx, c, Recording{
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
	for _, name := range []string{validate.HeaderFile, validate.DataFile, NoiseFile} {
		err := fsx.Copy(filepath.Join(from, name), filepath.Join(to, name))
		if name == NoiseFile && errors.Is(err, fs.ErrNotExist) {
			err = nil // PyTorch's noise was not measured
		}
		if err != nil {
			return err
		}
	}
	return nil
}
