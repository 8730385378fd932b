package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/text"
	"github.com/trtforge/trtforge/task"
)

// CalibrationText are the flags that name what is calibrated on.
type CalibrationText struct {
	Text        []string
	IDs         string
	Tokenizer   string
	Evaluate    string
	Random      int
	AllowRandom bool
}

// AddFlags declares the flags.
func (o *CalibrationText) AddFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.Text, "text", nil, "a `FILE` of text in UTF-8; may be repeated, and is read as one text")
	f.StringVar(&o.IDs, "ids", "", "a `FILE` of token ids instead: whole numbers with spaces or commas between")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "the `DIR` with tokenizer.json, or vocab.json and merges.txt (default: the model's)")
	f.StringVar(&o.Evaluate, "evaluate", "", "the `FILE` of text that accuracy is measured on: calibrating on any of it is refused")
	f.IntVar(&o.Random, "random", 0, "`N` random token ids instead of text, where only speed matters; needs --allow-random")
	f.BoolVar(&o.AllowRandom, "allow-random", false, "accept that ranges of random token ids are not those of text")
}

// ids are the tokens to calibrate on. dir is where the model lies.
func (o CalibrationText) ids(dir, model string, vocab int, seed uint64) ([]int64, error) {
	given := 0
	for _, is := range []bool{len(o.Text) > 0, o.IDs != "", o.Random != 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, fault.New(fault.Usage, "", "", "what to calibrate on is not clear", "give either --text, --ids or --random")
	}
	if o.Random != 0 {
		return calib.Random(o.Random, vocab, seed, o.AllowRandom)
	}
	if o.Tokenizer != "" {
		dir = o.Tokenizer
	} else if info, err := os.Stat(model); err == nil && info.IsDir() {
		dir = model
	}
	var texts []calib.Text
	if o.IDs != "" {
		ids, err := text.IDs(o.IDs)
		if err != nil || o.Evaluate == "" {
			return ids, err
		}
		texts = append(texts, calib.Text{Name: o.IDs, IDs: ids})
	}
	t, err := o.load(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range o.Text {
		ids, err := task.Tokens(t, path)
		if err != nil {
			return nil, err
		}
		texts = append(texts, task.TextOf(t, path, ids))
	}
	var evaluated calib.Text
	if o.Evaluate != "" {
		ids, err := task.Tokens(t, o.Evaluate)
		if err != nil {
			return nil, err
		}
		evaluated = task.TextOf(t, o.Evaluate, ids)
	}
	var all []int64
	for _, one := range texts {
		all, err = append(all, one.IDs...), errors.Join(err, calib.Overlap(one, evaluated))
	}
	return all, err
}

// load loads the tokenizer in dir; one that nobody named may well not be there.
func (o CalibrationText) load(dir string) (*bpe.Tokenizer, error) {
	if o.Tokenizer == "" {
		for _, path := range bpe.Files(dir) {
			if _, err := os.Stat(path); err != nil {
				return nil, fault.New(fault.Usage, "looking for", "the tokenizer", fmt.Sprintf("the model's directory has no %s", filepath.Base(path)),
					"name the checkpoint's directory with --tokenizer, or give token ids with --ids")
			}
		}
	}
	return bpe.Load(dir)
}
