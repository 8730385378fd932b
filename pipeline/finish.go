package pipeline

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

const (
	noGPU    = "a TensorRT-RTX plan runs on an RTX GPU only"
	cpuHalf  = "the CPU provider computes FP16 in FP32 between casts"
	unitByte = "bytes"
)

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
	d.Verdicts = gate.Evaluate(j.judged(), j.config.Gates, d.Rows)
	r := &Result{
		Kind: "summary", SchemaVersion: 1, CreatedBy: j.options.CreatedBy, Name: j.config.Name,
		Model: d.Model.Digest, Plan: summarisePlan(d.Plan, d.Contract), Dir: j.config.Output.Dir, Steps: j.steps,
	}
	r.Reference = reference.Perplexity
	r.fill(d, j.config.Workload.Scenarios)
	return r, j.write(d, r)
}

// judged are the engines as gates see them.
func (j *job) judged() []gate.Engine {
	var all []gate.Engine
	for _, e := range j.engines {
		g := gate.Engine{Name: e.Name(), Backend: e.Backend, Precision: string(e.Precision), Idle: e.idle()}
		if e.Backend == "ortcpu" && e.Precision == engine.FP16 {
			g.NoSpeed = cpuHalf
		}
		all = append(all, g)
	}
	return all
}

// idle says why an engine was not run here.
func (e *engineStage) idle() string {
	if e.Backend == "rtx" {
		return noGPU
	}
	return ""
}

// data is everything that the report shows but the verdicts.
func (j *job) data(reference validate.Header) (report.Data, error) {
	d := report.Data{
		Title: j.config.Name, CreatedBy: j.options.CreatedBy, Created: time.Now().Format("2006-01-02 15:04 MST"),
		Command: "trtforge run PIPELINE.toml", Scenarios: j.config.Workload.Scenarios,
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
	return d, nil
}

// describeModel fills in what was compiled.
func (j *job) describeModel(d *report.Data) error {
	return j.open(j.graph(j.export), func(m *onnx.Model) error {
		d.Model = report.Model{
			Name: filepath.Base(j.config.Model.Path), Digest: j.export.sidecar.Key, Bytes: m.Size(),
			Hidden: d.Contract.Heads * d.Contract.HeadDim, Positions: d.Contract.MaxPositions,
		}
		return m.Weights(func(w *onnx.Weight) error {
			if w.Type.IsFloat() {
				n, err := onnx.Elements(w.Dims)
				d.Model.Parameters += n
				return err
			}
			return nil
		})
	})
}

// gather reads the rows and manifests of the stages.
func (j *job) gather(d *report.Data) error {
	for _, e := range j.engines {
		m, err := readManifest(e.build.path(manifestFile))
		if err != nil {
			return err
		}
		d.Engines = append(d.Engines, report.Engine{Name: e.Name(), Manifest: *m, Cached: j.cached(e.build), Idle: e.idle()})
		d.Rows = append(d.Rows, rows.Exact(e.Name(), "engine_bytes", unitByte, float64(m.Bytes)))
		if e.validate == nil {
			continue
		}
		r, err := readRows(e.validate.path(rowsFile))
		if err != nil {
			return err
		}
		d.Rows = append(d.Rows, r...)
	}
	noise, err := Noise(j.reference.dir)
	if err != nil {
		return err
	}
	d.Rows = append(d.Rows, noise...)
	if j.bench == nil {
		return nil
	}
	r, err := readRows(j.bench.path(rowsFile))
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
	d.Versions = append(d.Versions, report.Fact{Name: "trtforge", Value: j.options.CreatedBy}, report.Fact{Name: "Go", Value: runtime.Version()})
	for _, name := range []string{"ort", "rtx"} {
		d.Versions = append(d.Versions, report.Fact{Name: name, Value: runtimes.VersionOf(name)})
	}
	for _, name := range slices.Sorted(maps.Keys(b.Versions)) {
		d.Versions = append(d.Versions, report.Fact{Name: name + " (reference)", Value: b.Versions[name]})
	}
	d.Machine = []report.Fact{
		{Name: "threads", Value: fmt.Sprint(j.threads)},
		{Name: "CPU features", Value: ort.CPU()},
		{Name: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH},
	}
	d.Inputs = []report.Fact{
		{Name: "reference", Value: source},
		{Name: "convention", Value: b.Convention.String()},
		{Name: "scored tokens", Value: fmt.Sprint(b.Rows)},
		{Name: "evaluation text", Value: b.Digests.Text},
		{Name: "tokenizer", Value: b.Digests.Tokenizer},
		{Name: "checkpoint", Value: b.Digests.Model},
		{Name: "seed", Value: fmt.Sprint(j.config.Run.Seed)},
	}
}

// write writes the report, the summary and all rows: they are cheap to make and
// follow from the stages, so they are made each time.
func (j *job) write(d report.Data, r *Result) error {
	path := func(name string) string { return filepath.Join(j.config.Output.Dir, name) }
	if err := writeRows(path("rows.jsonl"), j.options.CreatedBy, d.Rows); err != nil {
		return err
	}
	if err := fsx.WriteJSON(path("summary.json"), r); err != nil {
		return err
	}
	for name, render := range map[string]func(io.Writer, report.Data) error{"report.html": report.HTML, "report.md": report.Markdown} {
		var b bytes.Buffer
		if err := render(&b, d); err != nil {
			return fmt.Errorf("rendering %s: %w", name, err)
		}
		if err := fsx.WriteFile(path(name), func(w io.Writer) error {
			_, err := b.WriteTo(w)
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
