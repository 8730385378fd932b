package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
)

// GraphFlags are the flags that name a graph.
type GraphFlags struct {
	Model string
	Bind  []string
}

// AddFlags declares the flags.
func (o *GraphFlags) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Model, "model", "", "the graph that the profiles are for: an .onnx `FILE`, its contract.json, or a directory with one of them")
	addBind(f, &o.Bind)
}

// addBind declares --bind.
func addBind(f *pflag.FlagSet, into *[]string) {
	f.StringArrayVar(into, "bind", nil, "what a dimension of the graph's inputs is, `INPUT:DIM=ROLE`, a size or MIN..OPT..MAX, or with INPUT:values of its contents; may be repeated")
}

// load is the contract of the graph that the flags name, nil for none.
func (o GraphFlags) load() (*contract.Contract, error) {
	switch {
	case o.Model != "":
	case len(o.Bind) > 0:
		return nil, fault.New(fault.Usage, "", "", "--bind says what a graph's inputs are, and no graph is given", "name it with --model")
	default:
		return nil, nil
	}
	c, _, err := readContract(o.Model, o.Bind)
	return c, err
}

// readContract reads what a model's inputs mean: from a contract file, from a
// graph, or from a directory that has either. weights is the size of the graph's
// weights, 0 where only the contract is there.
func readContract(path string, bind []string) (c *contract.Contract, weights int64, err error) {
	if path, err = graphFile(path); err != nil {
		return nil, 0, err
	}
	if filepath.Ext(path) == ".json" {
		if len(bind) > 0 {
			return nil, 0, fault.New(fault.Usage, "", "", "--bind is for a graph, and "+path+" is a contract, which says what its dimensions are", "give the graph")
		}
		c, err = contract.Load(path)
		return c, 0, err
	}
	m, err := onnx.Load(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = m.Close() }()
	c, err = infer(m, bind)
	return c, m.Size(), err
}

// infer reads the contract of a graph with what --bind says of it.
func infer(m *onnx.Model, bind []string) (*contract.Contract, error) {
	bound, err := contract.ParseBindings(bind)
	if err != nil {
		return nil, err
	}
	return contract.Infer(m, bound...)
}

// graphFile is the graph or contract that a path names.
func graphFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return path, fsx.Explain("reading model", path, err)
	}
	for _, name := range []string{"model.onnx", contract.File} {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return filepath.Join(path, name), nil
		}
	}
	return "", fault.New(fault.Input, "reading model", path, "it has neither model.onnx nor contract.json", "run `trtforge export` first")
}
