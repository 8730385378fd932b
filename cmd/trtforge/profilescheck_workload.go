package main

import (
	"encoding/json"
	"io"
	"os"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
)

// checkedWorkload reads a workload and makes its demand.
func checkedWorkload(path string) (*profiles.Workload, []profiles.Shape, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fsx.Explain("reading workload", path, err)
	}
	defer func() { _ = f.Close() }()
	w := &profiles.Workload{}
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(w); err != nil {
		return nil, nil, fault.Wrap(fault.Input, "reading workload", path, err, "want {\"scenarios\": [...]}")
	}
	if err := w.Check(); err != nil {
		return nil, nil, err
	}
	return w, profiles.Demand(*w), nil
}
