package task

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/validate"
)

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
