package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/task"
)

// The files that stages hand to each other.
const (
	modelFile        = "model.onnx"
	contractFile     = contract.File
	planFile         = "plan.json"
	tableFile        = "table.json"
	observationsFile = "observations.json"
	decisionsFile    = "decisions.json"
	manifestFile     = engine.ManifestFile
	rowsFile         = "rows.jsonl"
)

// layOut makes the stages in the order in which they run.
func (j *job) layOut() error {
	files, err := checkpoint(j.config.Model.Path)
	if err != nil {
		return err
	}
	for name, path := range tokenizerFiles(j.config.Model.Path) {
		files[name] = path // export refuses one that does not fit
	}
	j.export = j.add(&stage{name: "export", revision: 4, files: files, params: j.exportParams(), run: j.runExport})
	requests := map[string]string{}
	if trace := j.config.Workload.Trace; trace != "" {
		requests["trace"] = trace
	}
	j.plan = j.add(&stage{name: "profiles", revision: 2, needs: []*stage{j.export}, files: requests, params: map[string]string{
		"workload": encode(j.config.Workload), "strategy": j.config.Profiles.Strategy, "max_profiles": fmt.Sprint(j.config.Profiles.MaxProfiles),
		"opt": j.config.Profiles.Opt, "reach": string(j.reach()),
	}, run: j.runProfiles})
	j.layOutModels()
	for _, e := range j.config.Engines {
		j.layOutEngine(e)
	}
	j.layOutMeasurements()
	return nil
}

// exportParams are what the export depends on beside the checkpoint. What says
// nothing new is not among them (a cache that concatenates, no [inputs]), so that
// such a file has the key that it always had.
func (j *job) exportParams() map[string]string {
	params := map[string]string{}
	if len(j.config.Inputs) > 0 {
		params["inputs"] = encode(j.config.Inputs)
	}
	if m := j.config.Model; m.Cache == export.Static {
		params["cache"], params["capacity"] = string(m.Cache), fmt.Sprint(m.Capacity)
	}
	return params
}

// checkpoint is the files that the export depends on, by name.
func checkpoint(dir string) (map[string]string, error) {
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fsx.Explain("reading checkpoint", dir, err)
	}
	for _, e := range entries {
		if e.Name() == "config.json" || strings.HasSuffix(e.Name(), ".safetensors") || strings.HasSuffix(e.Name(), ".safetensors.index.json") {
			files[e.Name()] = filepath.Join(dir, e.Name())
		}
	}
	return files, nil
}

// tokenizerFiles are the files that token ids depend on, by name.
func tokenizerFiles(dir string) map[string]string {
	files := map[string]string{}
	for _, path := range bpe.Files(dir) {
		files[filepath.Base(path)] = path
	}
	return files
}

func (j *job) runExport(_ context.Context, dir string, p progress.Counter) error {
	p.Note("streaming weights")
	m := j.config.Model
	if err := export.WriteVariants(m.Path, dir, m.variant(export.All), m.variant(export.Last)); err != nil {
		return err
	}
	return j.open(filepath.Join(dir, m.variant(export.All).File()), func(m *onnx.Model) error {
		if err := onnx.Check(m); err != nil {
			return err
		}
		return j.saveContract(m, dir)
	})
}

// graph is a stage's model with all logits. The export names its files after
// what they are, the other stages have one each.
func (j *job) graph(s *stage) string {
	if s == j.export {
		return s.path(j.config.Model.variant(export.All).File())
	}
	return s.path(modelFile)
}

// saveContract writes what the graph's inputs and outputs mean beside it.
func (j *job) saveContract(m *onnx.Model, dir string) error {
	c, err := contract.Infer(m, j.config.bindings...)
	if err != nil {
		return err
	}
	c.CreatedBy = j.options.CreatedBy
	return c.Save(filepath.Join(dir, contractFile))
}

func (j *job) runProfiles(_ context.Context, dir string, _ progress.Counter) error {
	c, err := contract.Load(j.export.path(contractFile))
	if err != nil {
		return err
	}
	// Now rather than after the engines are built.
	if _, err := j.convention(); err != nil {
		return err
	}
	w := j.config.Workload
	if _, err := w.Open(profiles.TraceOptions{Tokens: task.TextTokens(j.config.Model.Path)}, c.MaxPositions); err != nil {
		return err
	}
	p, err := profiles.Derive(c, w, profiles.Options{
		Strategy: j.config.Profiles.Strategy, MaxProfiles: j.config.Profiles.MaxProfiles, CreatedBy: j.options.CreatedBy,
		Opt: j.config.Profiles.Opt, Reach: j.reach(),
	})
	if err != nil {
		return err
	}
	return p.Save(filepath.Join(dir, planFile))
}

// reach is what all engines of the pipeline can reach: they share one plan. A
// session that reaches its first profile only is one for each phase where the file
// asks for phases.
func (j *job) reach() profiles.Reach {
	if j.config.Profiles.Strategy == "phase" {
		return profiles.Any
	}
	for _, e := range j.config.Engines {
		if r, err := profiles.ReachOf(e.Backend, ""); err == nil && r.Reach == profiles.First {
			return profiles.First
		}
	}
	return profiles.Any
}

// open loads a model for the time of a function.
func (j *job) open(path string, use func(*onnx.Model) error) error {
	m, err := onnx.Load(path)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return use(m)
}

// runCalibrate measures the ranges of what will be INT8 on real text.
func (j *job) runCalibrate(ctx context.Context, dir string, p progress.Counter) error {
	ids, err := j.ids(j.config.Text.Calibrate)
	if err != nil {
		return err
	}
	c, err := contract.Load(j.export.path(contractFile))
	if err != nil {
		return err
	}
	client, err := j.client(ctx)
	if err != nil {
		return err
	}
	return j.open(j.graph(j.export), func(m *onnx.Model) error {
		observe, err := j.observe(m)
		if err != nil {
			return err
		}
		r := task.Calibration{
			Model: m, Contract: c, IDs: task.Widen(ids), Observe: observe, Threads: j.threads, Dir: dir, CreatedBy: j.options.CreatedBy,
			Windows: calib.PlanOptions{Samples: j.config.Text.Samples, Seed: j.config.Run.Seed},
		}
		r.Windows.Prefill, r.Windows.Decode = task.Windows(c.MaxPositions)
		seen, err := task.Calibrate(ctx, client, r, p)
		if err != nil {
			return err
		}
		table, err := seen.Table(calib.Absmax())
		if err != nil {
			return err
		}
		return errors.Join(table.WriteFile(filepath.Join(dir, tableFile)), seen.WriteFile(filepath.Join(dir, observationsFile)))
	})
}

// observe is what the engines' graphs need to know the ranges of.
func (j *job) observe(m *onnx.Model) (names []string, err error) {
	if j.wants(quant.Precision.Calibrated) {
		targets, err := j.recipe(quant.INT8).Targets(m)
		if err != nil {
			return nil, err
		}
		names = quant.Observe(targets)
	}
	if j.wants(inHalf) {
		return task.WithRanged(m, names)
	}
	return names, nil
}

// apart refuses two texts of which one is fitted to what the other measures.
func (j *job) apart(fitted, measured string) error {
	a, err1 := j.text(fitted)
	b, err2 := j.text(measured)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return calib.Overlap(a, b)
}

// encode is v as the text of a parameter.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fault.Wrap(fault.Runtime, "encoding", "", err, "").Error()
	}
	return string(b)
}
