package export

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
)

// DataFile is the base name of the weights that the variants share.
const DataFile = "model.onnx.data"

// File is the base name of a variant: model.onnx, model-last.onnx.
func (l Logits) File() string {
	if l == Last {
		return "model-last.onnx"
	}
	return "model.onnx"
}

// File is the base name of the variant: that of its logits, with "static" in it
// where the cache is: model-static.onnx, model-static-last.onnx.
func (o Options) File() string {
	if o.Cache == Static {
		return "model-static" + strings.TrimPrefix(o.Logits.File(), "model")
	}
	return o.Logits.File()
}

// Write exports the checkpoint in dir to the directory out, which is made where
// it is missing: one graph for each variant asked for (all logits where none
// is) and one file of weights that they share. Each file is whole or absent. A
// value that is NaN or infinite is a fault.Input naming its tensor.
func Write(dir, out string, variants ...Logits) error {
	if len(variants) == 0 {
		variants = []Logits{All}
	}
	var options []Options
	for _, v := range variants {
		options = append(options, Options{Logits: v})
	}
	return WriteVariants(dir, out, options...)
}

// WriteVariants is [Write] of variants that differ in more than their logits.
// They share the file of weights whatever their cache.
func WriteVariants(dir, out string, variants ...Options) error {
	_, err := os.Stat(out)
	isNew := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fsx.Explain("creating", out, err)
	}
	for i, v := range variants {
		if err := writeOne(dir, out, v, i > 0); err != nil {
			if isNew && i == 0 {
				_ = os.Remove(out) // only if nothing is in it
			}
			return fmt.Errorf("exporting %s: %w", dir, err)
		}
	}
	return nil
}

func writeOne(dir, out string, o Options, reuse bool) error {
	m, err := GPT2(dir, o)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return onnx.Save(m, filepath.Join(out, o.File()), onnx.SaveOptions{DataFile: DataFile, ReuseData: reuse})
}
