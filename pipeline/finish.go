package pipeline

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

const unitByte = "bytes"

// finish gathers what the stages left, judges it and writes the report.
func (j *job) finish() (*Result, error) {
	reference, err := j.referenceHeader()
	if err != nil {
		return nil, err
	}
	d, err := j.data(reference)
	if err != nil {
		return nil, err
	}
	d.Limits = j.config.Gates
	d.Judge()
	r := &Result{
		Kind: "summary", SchemaVersion: 1, CreatedBy: j.options.CreatedBy, Name: j.config.Name,
		Model: d.Runs[0].Model.Digest, Plan: summarisePlan(d.Plan, d.Contract), Dir: j.config.Output.Dir, Steps: j.steps,
	}
	r.Reference = reference.Perplexity
	r.fill(d, j.config.Workload.Scenarios)
	return r, j.write(d, r)
}

// data is everything that the report shows but the verdicts.
func (j *job) data(reference validate.Header) (report.Data, error) {
	d := report.Data{
		Title: j.config.Name, CreatedBy: j.options.CreatedBy, Created: time.Now().Format("2006-01-02 15:04 MST"),
		Runs: []report.Run{{Command: j.config.command(), Author: j.options.CreatedBy}}, Scenarios: j.config.Workload.Scenarios,
	}
	var err error
	if d.Contract, err = contract.Load(j.export.path(contractFile)); err != nil {
		return d, err
	}
	if d.Plan, err = profiles.Load(j.plan.path(planFile)); err != nil {
		return d, err
	}
	if err := j.describeModel(&d); err != nil {
		return d, err
	}
	if err := j.gather(&d); err != nil {
		return d, err
	}
	j.describeRun(&d, reference)
	return d, j.describeGraphs(&d)
}

// describeModel fills in what was compiled.
func (j *job) describeModel(d *report.Data) error {
	return j.open(j.graph(j.export), func(m *onnx.Model) error {
		d.Runs[0].Model = report.Model{
			Name: modelName(j.config.Model.Path), Digest: j.export.sidecar.Key, Bytes: m.Size(),
			Hidden: d.Contract.Heads * d.Contract.HeadDim, Positions: d.Contract.MaxPositions,
		}
		return m.Weights(func(w *onnx.Weight) error {
			if w.Type.IsFloat() {
				n, err := onnx.Elements(w.Dims)
				d.Runs[0].Model.Parameters += n
				return err
			}
			return nil
		})
	})
}

// modelName is what people call a checkpoint: its directory, or the one above where
// that is called by what it holds.
func modelName(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	name := filepath.Base(path)
	for name == "model" || name == "checkpoint" {
		path = filepath.Dir(path)
		if name = filepath.Base(path); name == "/" || name == "." {
			return "model"
		}
	}
	return name
}

// gather reads the rows and manifests of the stages.
func (j *job) gather(d *report.Data) error {
	for _, e := range j.engines {
		m, err := engine.LoadManifest(e.build.path(manifestFile))
		if err != nil {
			return err
		}
		d.Engines = append(d.Engines, report.Engine{Name: e.Name(), Manifest: *m, Cached: j.cached(e.build), Idle: e.idle})
		if e.lacks == "" {
			d.Rows = append(d.Rows, rows.Exact(e.Name(), "engine_bytes", unitByte, float64(m.Bytes)))
		}
		if e.validate == nil {
			continue
		}
		r, err := rows.ReadFile(e.validate.path(rowsFile))
		if err != nil {
			return err
		}
		if why, err := os.ReadFile(e.validate.path(idleFile)); err == nil {
			d.Engines[len(d.Engines)-1].Idle = string(why)
		}
		d.Rows = append(d.Rows, r...)
	}
	noise, err := task.Noise(j.reference.dir)
	if err != nil {
		return err
	}
	d.Rows = append(d.Rows, noise...)
	if j.bench == nil {
		return nil
	}
	r, err := rows.ReadFile(j.bench.path(rowsFile))
	d.Rows = append(d.Rows, r...)
	return err
}

func (j *job) cached(s *stage) bool {
	return slices.ContainsFunc(j.steps, func(step Step) bool { return step.Stage == s.name && step.Cached })
}

// describeRun fills in versions, the machine and the inputs.
func (j *job) describeRun(d *report.Data, b validate.Header) {
	source := "PyTorch, in this run"
	if j.config.Reference.Bundle != "" {
		source = "PyTorch, recorded"
	}
	run := &d.Runs[0]
	run.Versions = append(run.Versions, report.Fact{Name: "trtforge", Value: j.options.CreatedBy}, report.Fact{Name: "Go", Value: runtime.Version()})
	for _, name := range []string{"ort", "rtx"} {
		run.Versions = append(run.Versions, report.Fact{Name: name, Value: runtimes.VersionOf(name)})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Versions)) {
		run.Versions = append(run.Versions, report.Fact{Name: name + " (reference)", Value: b.Versions[name]})
	}
	run.Machine = j.machine()
	run.Inputs = []report.Fact{
		{Name: "reference", Value: source},
		{Name: "convention", Value: b.Convention.String()},
		{Name: "scored tokens", Value: fmt.Sprint(b.Rows)},
		{Name: "evaluation text", Value: b.Digests.Text},
		{Name: "tokenizer", Value: b.Digests.Tokenizer},
		{Name: "checkpoint", Value: b.Digests.Model},
		{Name: "seed", Value: fmt.Sprint(j.config.Run.Seed)},
	}
}

// machine is what the benchmark wrote down about the machine, or the little that is
// known without it.
func (j *job) machine() *bench.Machine {
	if j.bench != nil {
		if f, err := os.Open(j.bench.path(report.MachineFile)); err == nil {
			defer func() { _ = f.Close() }()
			if m, err := bench.ReadMachine(f, f.Name()); err == nil {
				return m
			}
		}
	}
	features := strings.Fields(strings.TrimPrefix(ort.CPU(), "cpu "))
	return &bench.Machine{Features: features, Cores: runtime.NumCPU(), Threads: j.threads, OS: runtime.GOOS + "/" + runtime.GOARCH}
}

// write writes the report, the summary and all rows: they are cheap to make and
// follow from the stages, so they are made each time.
func (j *job) write(d report.Data, r *Result) error {
	if err := fsx.WriteJSON(filepath.Join(j.config.Output.Dir, "summary.json"), r); err != nil {
		return err
	}
	return errors.Join(report.Write(j.config.Output.Dir, d), j.copyMeasured())
}

// copyMeasured puts the benchmark's raw samples and machine beside the rows, so that
// the output directory holds all that a comparison reads.
func (j *job) copyMeasured() error {
	if j.bench == nil {
		return nil
	}
	for _, name := range []string{report.SamplesFile, report.MachineFile} {
		to := filepath.Join(j.config.Output.Dir, name)
		if err := fsx.WriteFile(to, func(w io.Writer) error {
			b, err := os.ReadFile(j.bench.path(name))
			if err == nil {
				_, err = w.Write(b)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// referenceHeader is what the reference says of itself.
func (j *job) referenceHeader() (validate.Header, error) {
	b, err := validate.Read(j.reference.dir)
	if err != nil {
		return validate.Header{}, err
	}
	return b.Header, b.Close()
}
