package quant

import (
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
// to the graph. Each file is whole or absent; the graph comes first, for it is
// what may not fit.
func Write(dir, createdBy string, out *Result, d *Decisions, bound ...contract.Binding) error {
	if err := fsx.MkdirAll(dir); err != nil {
		return err
	}
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
	if out.Table != nil {
		if err := out.Table.WriteFile(filepath.Join(dir, TableFile)); err != nil {
			return err
		}
	}
	if d == nil || out.Decisions == nil {
		return nil
	}
	d.CreatedBy = createdBy
	return d.WriteFile(filepath.Join(dir, DecisionsFile))
}
