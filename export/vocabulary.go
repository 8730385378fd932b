package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// maxTokenizer bounds a tokenizer's file; GPT-2's has 2 MB.
const maxTokenizer = 32 << 20

// checkVocabulary refuses a checkpoint whose tokenizer has ids beyond the
// embedding table: they would be noticed only when the first such token occurs.
// A directory without a tokenizer passes.
func checkVocabulary(dir string, cfg *config) error {
	var errs []error
	for _, file := range []struct {
		name    string
		largest func([]byte) (int64, error)
	}{{"tokenizer.json", largestInTokenizer}, {"vocab.json", largestID}} {
		path := filepath.Join(dir, file.name)
		data, err := readUpTo(path, maxTokenizer)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		id, err := file.largest(data)
		if err == nil && id >= cfg.Vocab {
			err = fmt.Errorf("it has a token with id %d, but vocab_size of config.json is %d", id, cfg.Vocab)
		}
		errs = append(errs, fault.Wrap(fault.Input, "reading", path, err, "use the tokenizer that belongs to the model"))
	}
	return errors.Join(errs...)
}

// readUpTo reads a small file; what is longer than limit is refused.
func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fault.New(fault.Input, "reading", path, fmt.Sprintf("it is longer than %d bytes", limit), "check that it is what its name says")
	}
	return data, fsx.Explain("reading", path, err)
}

// largestID is the largest id of a vocab.json.
func largestID(data []byte) (int64, error) {
	var vocab map[string]int64
	if err := json.Unmarshal(data, &vocab); err != nil {
		return 0, err
	}
	largest := int64(-1)
	for _, id := range vocab {
		largest = max(largest, id)
	}
	return largest, nil
}

// largestInTokenizer is the same of a tokenizer.json. A vocabulary that is no
// object (other models than BPE) is left to whoever tokenizes.
func largestInTokenizer(data []byte) (int64, error) {
	var file struct {
		Added []struct {
			ID int64 `json:"id"`
		} `json:"added_tokens"`
		Model struct {
			Vocab json.RawMessage `json:"vocab"`
		} `json:"model"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return 0, err
	}
	largest := int64(-1)
	if v := file.Model.Vocab; len(v) > 0 && v[0] == '{' {
		var err error
		if largest, err = largestID(v); err != nil {
			return 0, err
		}
	}
	for _, a := range file.Added {
		largest = max(largest, a.ID)
	}
	return largest, nil
}
