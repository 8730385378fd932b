package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/task"
)

// familyRevision is raised when the same study.toml makes other engines.
const familyRevision = "1"

// member is a model of the family, made.
type member struct {
	model
	Parameters int64
	Checkpoint string
	Engines    map[string]string // key in the store by name
	Contract   *contract.Contract
	Digest     string                    // of the float32 graph
	Plans      map[string]*profiles.Plan // by backend and mode
}

// memberFile is what is kept of a member besides its checkpoint and engines.
type memberFile struct {
	Engines map[string]string `json:"engines"`
	Digest  string            `json:"digest"`
}

// make writes the checkpoint of a model and builds its engines, or finds both.
func (w *workshop) make(ctx context.Context, m model) (*member, error) {
	dir := filepath.Join(w.study.Output.Dir, "family", m.Name)
	out := &member{model: m, Parameters: w.study.parameters(m), Checkpoint: filepath.Join(dir, "checkpoint")}
	shape, err := json.Marshal(w.study.shape(m))
	if err != nil {
		return nil, err
	}
	of := []string{familyRevision, string(shape), fmt.Sprint(w.study.Shape.Seed)}
	if err := makeOnce(out.Checkpoint, of, func(tmp string) error {
		w.say("%s: random weights", m.Name)
		return export.Random(tmp, w.study.shape(m), w.study.Shape.Seed)
	}); err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(slices.Clone(w.study.Measure.Engines), func(name string) bool { return !strings.HasPrefix(name, "ortcpu-") })
	made := filepath.Join(dir, "engines")
	of = append(of, w.textDigest, fmt.Sprint(w.study.Text.Samples), strings.Join(names, " "), w.builder.Revision())
	if w.study.RTX {
		of = append(of, w.rtxBuilder().Revision())
	}
	if w.lost(made) {
		if err := os.RemoveAll(made); err != nil {
			return nil, fsx.Explain("removing", made, err)
		}
	}
	if err := makeOnce(made, of, func(tmp string) error { return w.build(ctx, m, out.Checkpoint, tmp, names) }); err != nil {
		return nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	file, err := readMember(made)
	if err != nil {
		return nil, err
	}
	out.Engines, out.Digest = file.Engines, file.Digest
	out.Contract, err = contract.Load(filepath.Join(made, contract.File))
	return out, err
}

func readMember(dir string) (f memberFile, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "engines.json"))
	if err != nil {
		return f, fsx.Explain("reading engines", dir, err)
	}
	return f, json.Unmarshal(b, &f)
}

// lost tells whether an engine of a made member is no longer in the store, or not
// as it was built.
func (w *workshop) lost(dir string) bool {
	f, err := readMember(dir)
	if err != nil {
		return false // nothing made
	}
	for _, key := range f.Engines {
		if _, err := w.store.Get(key); err != nil {
			return true
		}
	}
	return false
}

// build makes the typed graphs of a checkpoint and the engines of them. The graphs
// answer the last position only, as PyTorch is asked to.
func (w *workshop) build(ctx context.Context, m model, checkpoint, dir string, names []string) error {
	graphs, err := os.MkdirTemp(filepath.Dir(dir), fsx.TempPrefix+"graphs-*")
	if err != nil {
		return fsx.Explain("creating a directory in", dir, err)
	}
	defer func() { _ = os.RemoveAll(graphs) }()
	last := export.Options{Logits: export.Last}
	w.say("%s: export", m.Name)
	if err := export.WriteVariants(checkpoint, graphs, last); err != nil {
		return err
	}
	g, err := onnx.Load(filepath.Join(graphs, last.File()))
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()
	c, err := contract.Infer(g)
	if err != nil {
		return err
	}
	c.CreatedBy = w.createdBy
	file := memberFile{Engines: map[string]string{}}
	if file.Digest, err = g.Digest(); err != nil {
		return err
	}
	var table *calib.Table
	if slices.Contains(names, "ortcpu-int8") || w.study.RTX {
		w.say("%s: calibration", m.Name)
		if table, err = w.calibrate(ctx, g, c, graphs); err != nil {
			return err
		}
	}
	for _, name := range names {
		precision := engine.Precision(strings.TrimPrefix(name, "ortcpu-"))
		w.say("%s: %s", m.Name, name)
		path, err := typed(g, filepath.Join(graphs, last.File()), quant.Precision(precision), table, filepath.Join(graphs, name))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if file.Engines[name], err = w.engine(ctx, w.builder, engine.Request{Name: name, Backend: "ortcpu", Precision: precision}, path); err != nil {
			return err
		}
	}
	if w.study.RTX {
		if err := w.plans(ctx, m, g, filepath.Join(graphs, last.File()), c, table, &file); err != nil {
			return err
		}
	}
	return errors.Join(c.Save(filepath.Join(dir, contract.File)), fsx.WriteJSON(filepath.Join(dir, "engines.json"), file))
}

// calibrate observes real tokens at prefill and decode shapes.
func (w *workshop) calibrate(ctx context.Context, g *onnx.Model, c *contract.Contract, dir string) (*calib.Table, error) {
	targets, err := quant.Recipe{Precision: quant.INT8}.Targets(g)
	if err != nil {
		return nil, err
	}
	r := task.Calibration{
		Model: g, Contract: c, IDs: task.Widen(w.calibrates), Observe: quant.Observe(targets), Dir: dir, CreatedBy: w.createdBy,
		Windows: calib.PlanOptions{Samples: w.study.Text.Samples, Seed: w.study.Shape.Seed},
	}
	r.Windows.Prefill, r.Windows.Decode = task.Windows(c.MaxPositions)
	seen, err := task.Calibrate(ctx, w.ort, r, w.counter())
	if err != nil {
		return nil, err
	}
	return seen.Table(calib.Absmax())
}

// typed is the path of the graph in a precision.
func typed(g *onnx.Model, float string, p quant.Precision, table *calib.Table, dir string) (string, error) {
	if p == quant.FP32 {
		return float, nil
	}
	r := quant.Recipe{Precision: p}
	if !p.Calibrated() {
		table = nil
	}
	out, err := quant.Apply(g, table, r)
	if err != nil {
		return "", err
	}
	d, err := quant.NewDecisions(out, r, table)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, quant.ModelFile), quant.Write(dir, "", out, d)
}

// engine builds a graph into the store, or finds the engine there, and gives its key.
func (w *workshop) engine(ctx context.Context, b engine.Builder, r engine.Request, path string) (string, error) {
	g, err := onnx.Load(path)
	if err != nil {
		return "", err
	}
	r.Model = path
	r.ModelDigest, err = g.Digest()
	if r.Plan != nil && err == nil {
		r.Contract, err = contract.Infer(g)
	}
	if err := errors.Join(err, g.Close()); err != nil {
		return "", err
	}
	e, err := w.store.Build(ctx, b, r, w.counter())
	if err != nil {
		return "", fmt.Errorf("building %s: %w", r.Name, err)
	}
	return e.Manifest.Key, nil
}

// versions are those of the runtimes, as their locks pin them.
func versions() map[string]string {
	all := map[string]string{"onnxruntime": runtimes.VersionOf("ort")}
	if r, ok := runtimes.Find("reference"); ok {
		maps.Copy(all, r.Versions)
	}
	return all
}
