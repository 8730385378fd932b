package quant

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
)

// The files of a quantized model's directory.
const (
	ModelFile     = "model.onnx"
	ContractFile  = "contract.json"
	DecisionsFile = "decisions.json"
	TableFile     = "table.json"
)

// Write writes what Apply made into dir: the graph with its weights, which stream,
// its contract, and where there are any the decisions and the table that belongs
// to the graph. Those of a graph that stood in dir before go with it. Each file is whole or absent; the graph comes first, for it is
// what may not fit.
func Write(dir, createdBy string, out *Result, d *Decisions, bound ...contract.Binding) error {
	if err := fsx.MkdirAll(dir); err != nil {
		return err
	}
	_, before := os.Stat(filepath.Join(dir, ModelFile))
	c, err := contract.Infer(out.Model, bound...)
	if err != nil {
		return err
	}
	if err := onnx.Save(out.Model, filepath.Join(dir, ModelFile), onnx.SaveOptions{}); err != nil {
		return err
	}
	c.CreatedBy = createdBy
	if err := c.Save(filepath.Join(dir, ContractFile)); err != nil {
		return err
	}
	writes := map[string]func(string) error{}
	if out.Table != nil {
		writes[TableFile] = out.Table.WriteFile
	}
	if d != nil && out.Decisions != nil {
		d.CreatedBy = createdBy
		writes[DecisionsFile] = d.WriteFile
	}
	for _, name := range []string{TableFile, DecisionsFile} {
		path := filepath.Join(dir, name)
		if write := writes[name]; write != nil {
			err = write(path)
		} else if err = nil; before == nil { // that of the graph which was replaced
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fsx.Explain("replacing", path, err)
		}
	}
	return nil
}
