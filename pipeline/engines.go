package pipeline

import (
	"context"
	"path/filepath"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/decorate"
	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// layOutEngine adds the stage that takes an engine from the store, where it is built
// if it is not there. The stage's key is the engine's own ([engine.Key]): names, paths
// and who wrote the plan change neither. Its directory is a copy, so that results stay
// whole when they are moved or the store is pruned, and nobody who edits them harms
// the engines of others; file systems that can, share the blocks.
func (j *job) layOutEngine(e EngineConfig) {
	model := j.model(e)
	s := &stage{name: "engine/" + e.Name(), needs: []*stage{model}}
	s.runtime = map[string]string{"ortcpu": "ort", "rtx": "rtx"}[e.Backend]
	if planned(e.Backend) {
		s.needs = append(s.needs, j.plan)
	}
	of := &engineStage{EngineConfig: e, build: j.add(s)}
	if local.Is(e.Backend) {
		of.lacks = j.findLocal(e.Backend)
	}
	s.asks = func() (map[string]string, error) {
		r, err := j.request(e, model)
		revision := unbuilt(of.lacks)
		if of.lacks == "" {
			revision = j.builder(e.Backend).Revision()
		}
		return engine.Inputs(r, revision), err
	}
	s.run = func(ctx context.Context, dir string, p progress.Counter) error {
		return j.runBuild(ctx, e, model, dir, p)
	}
	if of.lacks != "" {
		s.run = j.runUnbuilt(of, model)
	}
	j.engines = append(j.engines, of)
}

// builder is the backend's builder; its processes start when it builds.
func (j *job) builder(backend string) engine.Builder {
	return decorate.Log(j.bare(backend), j.options.Log)
}

func (j *job) bare(backend string) engine.Builder {
	if b := j.local[backend]; b != nil {
		return b
	}
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

// runBuild puts the engine of the store into dir.
func (j *job) runBuild(ctx context.Context, e EngineConfig, model *stage, dir string, p progress.Counter) error {
	r, err := j.request(e, model)
	if err != nil {
		return err
	}
	s, err := j.store()
	if err != nil {
		return err
	}
	built, err := s.Build(ctx, j.builder(e.Backend), r, p)
	if err != nil {
		return err
	}
	return built.CopyTo(dir)
}

// request is what an engine of the file asks for, once its graph and the plan are there.
func (j *job) request(e EngineConfig, model *stage) (r engine.Request, err error) {
	r = engine.Request{Name: e.Name(), Backend: e.Backend, Precision: e.Precision, Model: j.graph(model), Target: e.Target}
	if r.Contract, err = contract.Load(model.path(contractFile)); err != nil {
		return r, err
	}
	if planned(e.Backend) {
		if r.Plan, err = profiles.Load(j.plan.path(planFile)); err != nil {
			return r, err
		}
	}
	if local.Is(e.Backend) {
		if r.Options, err = localOptions(e.Backend, r.Plan); err != nil {
			return r, err
		}
	}
	r.ModelDigest, err = j.digest(model)
	return r, err
}

// digest is that of a stage's graph. Engines share graphs, and a digest reads every
// weight, so each is taken once.
func (j *job) digest(s *stage) (sum string, err error) {
	if sum, known := j.graphs[s.sidecar.Key]; known {
		return sum, nil
	}
	err = j.open(j.graph(s), func(m *onnx.Model) error {
		sum, err = m.Digest()
		return err
	})
	if err == nil {
		j.graphs[s.sidecar.Key] = sum
	}
	return sum, err
}

// store is where engines are built: the options' own, or one in the output directory.
func (j *job) store() (*store.Store, error) {
	if j.options.Store != nil {
		return j.options.Store, nil
	}
	return store.Open(filepath.Join(j.config.Output.Dir, "store"))
}

// engineModel is an engine as a job runs it.
func (j *job) engineModel(e *engineStage) (jobs.Model, error) {
	m, err := engine.LoadManifest(e.build.path(manifestFile))
	if err != nil {
		return jobs.Model{}, err
	}
	c, err := contract.Load(j.model(e.EngineConfig).path(contractFile))
	if err != nil {
		return jobs.Model{}, err
	}
	return jobs.Model{Path: e.build.path(m.File), Contract: c, Threads: j.threads, Optimize: ort.OptimizeAll}, nil
}
