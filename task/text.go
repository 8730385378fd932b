package task

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/text"
	"github.com/trtforge/trtforge/internal/worker"
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

// Tokens are the ids of a text in UTF-8.
func Tokens(t *bpe.Tokenizer, path string) ([]int, error) {
	s, err := text.Read(path)
	if err != nil {
		return nil, err
	}
	return t.Encode(s)
}

// TextOf is what a file's tokens are compared as with those of other texts.
func TextOf(t *bpe.Tokenizer, path string, ids []int) calib.Text {
	return calib.Text{Name: path, IDs: Widen(ids), Words: func(ids []int64) string {
		narrow := make([]int, len(ids))
		for i, id := range ids {
			narrow[i] = int(id)
		}
		s, _ := t.Decode(narrow) // an id that the tokenizer has not: the model is asked of that
		return s
	}}
}

// TextTokens counts tokens with the tokenizer of a model's directory, which is
// read when the first text is met: most traces hold lengths.
func TextTokens(dir string) func(text string) (int, error) {
	var t *bpe.Tokenizer
	return func(text string) (int, error) {
		if t == nil {
			var err error
			if t, err = bpe.Load(dir); err != nil {
				return 0, err
			}
		}
		ids, err := t.Encode(text)
		return len(ids), err
	}
}

// Widen copies token ids into the width that graphs are fed in.
func Widen(ids []int) []int64 {
	wide := make([]int64, len(ids))
	for i, id := range ids {
		wide[i] = int64(id)
	}
	return wide
}
