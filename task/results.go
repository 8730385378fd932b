package task

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
)

// Results are what validate found, for a results directory of the form that run
// leaves.
type Results struct {
	Command   string // what measures it again
	CreatedBy string
	Created   string // when, as it should be read
	Engines   []*Runnable
	Idle      map[string]string      // why engines were not run, by name
	Limits    map[string]gate.Limits // nil holds engines to nothing
	Rows      []rows.Row
	Machine   *bench.Machine
	Inputs    []report.Fact
}

// Write writes rows.jsonl, report.json, report.html and report.md into dir, which
// must exist.
func (r Results) Write(dir string) error {
	d := report.Data{
		Title: filepath.Base(dir), CreatedBy: r.CreatedBy, Created: r.Created, Limits: r.Limits, Rows: r.Rows,
		Runs: []report.Run{{Command: r.Command, Created: r.Created, Author: r.CreatedBy, Machine: r.Machine, Inputs: r.Inputs}},
	}
	if path, err := filepath.Abs(dir); err == nil {
		d.Title = filepath.Base(path)
	}
	for _, e := range r.Engines {
		one := e.Reported()
		one.Idle = r.Idle[e.Name]
		d.Engines = append(d.Engines, one)
	}
	d.Judge()
	return report.Write(dir, d)
}

// Reported is the engine as a report shows it: with its manifest, or what can be
// said of a graph or a checkpoint instead. A file that cannot be read any more says
// less.
func (r *Runnable) Reported() report.Engine {
	e := report.Engine{Name: r.Name}
	if r.Manifest != nil {
		e.Manifest = *r.Manifest
		return e
	}
	e.Manifest = engine.Manifest{Kind: "manifest", SchemaVersion: engine.SchemaVersion, Backend: r.Backend, Precision: r.Precision, Achieved: r.Precision}
	if m, err := onnx.Load(r.Model.Path); err == nil {
		defer func() { _ = m.Close() }()
		e.Manifest.File, e.Manifest.Bytes = filepath.Base(r.Model.Path), sizeOf(append(m.Files(), r.Model.Path))
		e.Manifest.FileDigest, _ = m.Digest()
	}
	return e
}

// sizeOf is the bytes of files, each once.
func sizeOf(paths []string) (bytes int64) {
	slices.Sort(paths)
	for _, path := range slices.Compact(paths) {
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}
