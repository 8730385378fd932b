package pipeline

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/text"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/validate"
)

// TokensOf encodes a file of text with the tokenizer in dir: byte-level BPE here,
// any other kind by transformers, in the process that torch starts. temp is an
// existing directory.
func TokensOf(ctx context.Context, dir, path, temp string, torch func(context.Context) (*child.Child, error)) ([]int, error) {
	if _, err := text.Read(path); err != nil { // first: it may be no text at all
		return nil, err
	}
	t, err := bpe.Load(dir)
	if err == nil {
		return Tokens(t, path)
	}
	c, missing := torch(ctx)
	if missing != nil {
		return nil, errors.Join(err, missing)
	}
	out := filepath.Join(temp, fsx.TempPrefix+"tokens.bin")
	defer func() { _ = os.Remove(out) }()
	if err := worker.Tokenize(ctx, c, dir, path, out, progress.Noop); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(out)
	if err != nil || len(b)%4 != 0 {
		return nil, fault.Wrap(fault.Runtime, "reading tokens", out, err, "")
	}
	ids := make([]int, len(b)/4)
	for i := range ids {
		ids[i] = int(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return ids, nil
}

// Positions is the checkpoint's longest sequence; 0 = it does not tell.
func Positions(dir string) (int, error) {
	path := filepath.Join(dir, "config.json")
	if _, err := os.Stat(path); err != nil {
		return 0, fsx.Explain("reading checkpoint", path, err)
	}
	return positionsOf(dir), nil
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
