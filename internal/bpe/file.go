package bpe

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// file is the part of tokenizer.json that decides ids.
type file struct {
	Added        []addedToken    `json:"added_tokens"`
	Normalizer   json.RawMessage `json:"normalizer"`
	PreTokenizer *preTokenizer   `json:"pre_tokenizer"`
	Model        *model          `json:"model"`
}

type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
}

type preTokenizer struct {
	Type        string `json:"type"`
	PrefixSpace bool   `json:"add_prefix_space"`
	UseRegex    *bool  `json:"use_regex"` // absent = true
}

type model struct {
	Type         string           `json:"type"`
	Dropout      *float64         `json:"dropout"`
	Unknown      *string          `json:"unk_token"`
	WordPrefix   *string          `json:"continuing_subword_prefix"`
	WordSuffix   *string          `json:"end_of_word_suffix"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int64 `json:"vocab"`
	Merges       []mergePair      `json:"merges"`
}

// mergePair is two tokens, in the file "a b" or ["a", "b"].
type mergePair [2]string

// UnmarshalJSON reads both forms.
func (p *mergePair) UnmarshalJSON(text []byte) error {
	var list []string
	if json.Unmarshal(text, &list) != nil {
		var line string
		if err := json.Unmarshal(text, &line); err != nil {
			return err
		}
		list = strings.Split(line, " ")
	}
	if len(list) != 2 {
		return fmt.Errorf("merge %s is not a pair", text)
	}
	*p = mergePair(list)
	return nil
}

// parse makes a tokenizer of tokenizer.json.
func parse(path string, b []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, refuse(path, err)
	}
	if err := f.supported(); err != nil {
		return nil, refuse(path, err)
	}
	return assemble(path, f.Model, f.Added, f.PreTokenizer.PrefixSpace)
}

// supported names every part that this package would not reproduce.
func (f *file) supported() error {
	var errs []error
	no := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	no(len(f.Normalizer) > 0 && string(f.Normalizer) != "null", "normalizer %s is not supported", typeOf(f.Normalizer))
	switch p := f.PreTokenizer; {
	case p == nil:
		no(true, "it has no pre_tokenizer, ByteLevel is supported")
	case p.Type != "ByteLevel":
		no(true, "pre_tokenizer %q is not supported, only ByteLevel", p.Type)
	default:
		no(p.UseRegex != nil && !*p.UseRegex, "pre_tokenizer ByteLevel without its pattern (use_regex false) is not supported")
	}
	m := f.Model
	if m == nil {
		return errors.Join(append(errs, errors.New("it has no model"))...)
	}
	// Files from before the type was written are told by their merges.
	no(m.Type != "BPE" && (m.Type != "" || m.Merges == nil), "model %q is not supported, only BPE", m.Type)
	no(m.Dropout != nil && *m.Dropout != 0, "BPE dropout is not supported")
	no(m.Unknown != nil && *m.Unknown != "", "BPE unk_token is not supported")
	no(m.WordPrefix != nil && *m.WordPrefix != "", "BPE continuing_subword_prefix is not supported")
	no(m.WordSuffix != nil && *m.WordSuffix != "", "BPE end_of_word_suffix is not supported")
	no(m.ByteFallback, "BPE byte_fallback is not supported")
	return errors.Join(errs...)
}

// typeOf is the "type" of a part, for messages.
func typeOf(part json.RawMessage) string {
	var t struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(part, &t) != nil || t.Type == "" {
		return "of unknown type"
	}
	return t.Type
}
