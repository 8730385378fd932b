package validate

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fsx"
)

// Write writes a bundle into dir, which exists: the rows that next gives in the
// order of the text, as many as h announces, and then the header. Kind, version,
// id width, mean, perplexity and data digest are set here. PyTorch's worker
// writes the same form; this is for references from elsewhere and for tests.
func Write(dir string, h Header, next func() (Row, error)) error {
	h.Kind, h.SchemaVersion, h.IDBytes = "bundle", SchemaVersion, idBytes(h.Vocab)
	sum, nll := sha256.New(), average{}
	err := fsx.WriteFile(filepath.Join(dir, DataFile), func(w io.Writer) error {
		out := bufio.NewWriter(io.MultiWriter(w, sum))
		var raw []byte
		for i := range h.Rows {
			row, err := next()
			if err == nil {
				err = h.checkRow(row)
			}
			if err != nil {
				return fmt.Errorf("row %d: %w", i, err)
			}
			nll.add(&h, row.NLL)
			raw = h.encode(raw[:0], row)
			if _, err := out.Write(raw); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	if err != nil {
		return err
	}
	h.MeanNLL = nll.mean()
	h.Perplexity = math.Exp(h.MeanNLL)
	h.DataDigest = hex.EncodeToString(sum.Sum(nil))
	if err := h.check(); err != nil {
		return fmt.Errorf("writing reference bundle %s: %w", dir, err)
	}
	return fsx.WriteJSON(filepath.Join(dir, HeaderFile), h)
}
