package bpe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// Files that Load reads: the first, or the other two where it is absent.
const (
	tokenizerFile = "tokenizer.json"
	vocabFile     = "vocab.json"
	mergesFile    = "merges.txt"
	addedFile     = "added_tokens.json"
)

// maxFile bounds each of them; the largest published ones have some 30 MiB.
const maxFile = 256 << 20

// Load reads the tokenizer in dir. What is unreadable, contradicts itself or
// cannot be reproduced exactly is an error of class input; all reasons are given.
func Load(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, tokenizerFile)
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return loadPair(dir)
	}
	if err != nil {
		return nil, err
	}
	return parse(path, b)
}

// Files is the paths of the files that Load(dir) reads, in a fixed order; their
// contents identify the tokenizer.
func Files(dir string) []string {
	path := filepath.Join(dir, tokenizerFile)
	if _, err := os.Stat(path); err == nil {
		return []string{path}
	}
	all := []string{filepath.Join(dir, vocabFile), filepath.Join(dir, mergesFile)}
	if _, err := os.Stat(filepath.Join(dir, addedFile)); err == nil {
		all = append(all, filepath.Join(dir, addedFile))
	}
	return all
}

// loadPair reads what GPT-2 was published as. Its <|endoftext|> is special.
func loadPair(dir string) (*Tokenizer, error) {
	vocabPath, mergesPath := filepath.Join(dir, vocabFile), filepath.Join(dir, mergesFile)
	vocab, err := readFile(vocabPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Input, "loading tokenizer", dir, "it has neither "+tokenizerFile+" nor "+vocabFile, "copy the tokenizer's files beside the model")
	}
	if err != nil {
		return nil, err
	}
	merges, err := readFile(mergesPath)
	if err != nil {
		return nil, err
	}
	m := model{Vocab: map[string]int64{}}
	if err := json.Unmarshal(vocab, &m.Vocab); err != nil {
		return nil, refuse(vocabPath, err)
	}
	m.Merges, err = parseMerges(string(merges))
	if err != nil {
		return nil, refuse(mergesPath, err)
	}
	more, err := addedPair(dir, m.Vocab)
	if err != nil {
		return nil, err
	}
	return assemble(dir, &m, more, false)
}

// addedPair is the added tokens of a pair of files, by id.
func addedPair(dir string, vocab map[string]int64) ([]addedToken, error) {
	var all []addedToken
	if id, ok := vocab["<|endoftext|>"]; ok {
		all = append(all, addedToken{ID: id, Content: "<|endoftext|>"})
	}
	path := filepath.Join(dir, addedFile)
	b, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	more := map[string]int64{}
	if err := json.Unmarshal(b, &more); err != nil {
		return nil, refuse(path, err)
	}
	for text, id := range more {
		all = append(all, addedToken{ID: id, Content: text})
	}
	slices.SortFunc(all, func(a, b addedToken) int { return int(a.ID - b.ID) })
	return slices.Compact(all), nil
}

// parseMerges reads merges.txt: a pair a line, best first.
func parseMerges(text string) ([]mergePair, error) {
	var all []mergePair
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSuffix(line, "\r")
		if line == "" || strings.HasPrefix(line, "#version") {
			continue
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || a == "" || b == "" || strings.Contains(b, " ") {
			return nil, fmt.Errorf("line %d is not a pair: %q", i+1, line)
		}
		all = append(all, mergePair{a, b})
	}
	return all, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("loading tokenizer", path, err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fsx.Explain("loading tokenizer", path, err)
	}
	if len(b) > maxFile {
		return nil, refuse(path, fmt.Errorf("it is longer than %d bytes", maxFile))
	}
	return b, nil
}

func refuse(path string, err error) error {
	return fault.Wrap(fault.Input, "loading tokenizer", path, err, "give a GPT-2 style byte-level BPE; other tokenizers are not supported")
}
