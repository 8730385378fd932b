package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fsx"
)

// recordFile says in a made directory what it was made of.
const recordFile = "made-of"

// makeOnce fills a directory once: where it is there already and was made of the same
// things, nothing is done. It appears under its name whole, or not at all, so that a
// run that was killed goes on behind its last whole step.
func makeOnce(dir string, of []string, fill func(tmp string) error) error {
	h := sha256.New()
	for _, what := range of {
		_, _ = fmt.Fprintf(h, "%q\n", what) // a hash never fails
	}
	key := hex.EncodeToString(h.Sum(nil))
	if b, err := os.ReadFile(filepath.Join(dir, recordFile)); err == nil && string(b) == key {
		return nil
	}
	if err := fsx.MkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	return fsx.WriteDir(dir, func(tmp string) error {
		if err := fill(tmp); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(tmp, recordFile), []byte(key), 0o644)
	})
}
