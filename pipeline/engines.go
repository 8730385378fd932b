package pipeline

import (
	"context"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// layOutEngine adds the stage that builds an engine.
func (j *job) layOutEngine(e EngineConfig) {
	model := j.model(e)
	s := &stage{name: "engine/" + e.Name(), revision: 2, needs: []*stage{model}, params: map[string]string{
		"precision": string(e.Precision), "target": e.Target, "builder": j.builder(e.Backend).Revision(),
	}}
	s.runtime = "ort"
	if e.Backend == "rtx" {
		s.runtime = "rtx"
		s.needs = append(s.needs, j.plan)
	}
	s.run = func(ctx context.Context, dir string, p progress.Counter) error {
		return j.runBuild(ctx, e, model, dir, p)
	}
	j.engines = append(j.engines, &engineStage{EngineConfig: e, build: j.add(s)})
}

// builder is the backend's builder; its processes start when it builds.
func (j *job) builder(backend string) engine.Builder {
	if backend == "rtx" {
		return &rtx.Builder{
			Start:   func(ctx context.Context) (rtx.Worker, error) { return j.worker(ctx, worker.RTX) },
			Version: runtimes.VersionOf("rtx"), CreatedBy: j.options.CreatedBy,
		}
	}
	return &ortcpu.Builder{
		Start:   func(ctx context.Context) (ortcpu.Caller, error) { return j.client(ctx) },
		Version: runtimes.VersionOf("ort"), CreatedBy: j.options.CreatedBy,
	}
}

func (j *job) runBuild(ctx context.Context, e EngineConfig, model *stage, dir string, p progress.Counter) error {
	r := engine.Request{Name: e.Name(), Backend: e.Backend, Precision: e.Precision, Model: j.graph(model), Target: e.Target}
	var err error
	if r.Contract, err = contract.Load(model.path(contractFile)); err != nil {
		return err
	}
	if r.Plan, err = profiles.Load(j.plan.path(planFile)); err != nil {
		return err
	}
	if e.Backend != "rtx" {
		r.Plan = nil
	}
	if err := j.open(r.Model, func(m *onnx.Model) error {
		r.ModelDigest, err = m.Digest()
		return err
	}); err != nil {
		return err
	}
	manifest, err := j.builder(e.Backend).Build(ctx, r, dir, p)
	if err != nil {
		return err
	}
	return fsx.WriteJSON(filepath.Join(dir, manifestFile), manifest)
}

// engineModel is an engine as a job runs it.
func (j *job) engineModel(e *engineStage) (jobs.Model, error) {
	m, err := readManifest(e.build.path(manifestFile))
	if err != nil {
		return jobs.Model{}, err
	}
	c, err := contract.Load(j.model(e.EngineConfig).path(contractFile))
	if err != nil {
		return jobs.Model{}, err
	}
	return jobs.Model{Path: e.build.path(m.File), Contract: c, Threads: j.threads, Optimize: ort.OptimizeAll}, nil
}

func readManifest(path string) (*engine.Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading manifest", path, err)
	}
	defer func() { _ = f.Close() }()
	return engine.ReadManifest(f, path)
}
