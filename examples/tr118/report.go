package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fsx"
)

// report writes the comparison beside the results and says where.
func (w *workshop) report(f *findings, out io.Writer) error {
	path := filepath.Join(w.study.Output.Dir, "comparison.md")
	if err := fsx.WriteFile(path, f.markdown); err != nil {
		return err
	}
	total, failed := f.counts()
	lost := 0
	for _, n := range failed {
		lost += n
	}
	_, err := fmt.Fprintf(out, "%d requests, %d failed\ncomparison: %s\n", total, lost, path)
	return err
}
