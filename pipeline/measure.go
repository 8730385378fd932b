package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// runtimeText is all versions of a runtime.
func runtimeText(name string) string {
	if r, ok := runtimes.Find(name); ok && len(r.Versions) > 0 {
		return r.VersionText()
	}
	return runtimes.Pinned()[name]
}

// model is the typed graph that an engine is built from.
func (j *job) model(e EngineConfig) *stage {
	if e.Backend == "rtx" && e.Precision == engine.INT8 {
		return j.models["int8-fp16"]
	}
	return j.models[string(e.Precision)]
}

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

// layOutMeasurements adds the reference, the validation of each engine that
// runs here, and one stage that times them all in turn.
func (j *job) layOutMeasurements() {
	texts := tokenizerFiles(j.config.Model.Path)
	texts["evaluate"] = j.config.Text.Evaluate
	files, _ := checkpoint(j.config.Model.Path) // read once already
	for name, path := range texts {
		files[name] = path
	}
	params := map[string]string{"window": fmt.Sprint(j.config.Text.Window), "threads": fmt.Sprint(j.threads)}
	runtime := "reference"
	if bundle := j.config.Reference.Bundle; bundle != "" {
		params["source"] = "recorded"
		runtime = ""
		files["bundle"], files["bundle data"] = filepath.Join(bundle, validate.HeaderFile), filepath.Join(bundle, validate.DataFile)
	} else {
		params["source"] = "live, " + runtimeText("reference")
	}
	j.reference = j.add(&stage{name: "reference", revision: 1, runtime: runtime, files: files, params: params, run: j.runReference})
	var timed []*stage
	for _, e := range j.engines {
		if e.Backend != "ortcpu" {
			continue
		}
		e.validate = j.add(&stage{name: "validate/" + e.Name(), revision: 1, runtime: "ort", needs: []*stage{e.build, j.reference}, files: texts,
			params: map[string]string{"window": fmt.Sprint(j.config.Text.Window), "threads": fmt.Sprint(j.threads), "seed": fmt.Sprint(j.config.Run.Seed), "onnxruntime": runtimes.VersionOf("ort")},
			run:    func(ctx context.Context, dir string, p progress.Counter) error { return j.runValidate(ctx, e, dir, p) }})
		timed = append(timed, e.build)
	}
	if len(timed) > 0 {
		j.bench = j.add(&stage{name: "bench", revision: 1, runtime: "ort", needs: timed, files: texts, params: map[string]string{
			"workload": encode(j.config.Workload), "repetitions": fmt.Sprint(j.config.Run.Repetitions), "seed": fmt.Sprint(j.config.Run.Seed),
			"threads": fmt.Sprint(j.threads), "onnxruntime": runtimes.VersionOf("ort"), "cpu": ort.CPU(),
		}, run: j.runBench})
	}
}

// convention is how the evaluation text is cut.
func (j *job) convention() (validate.Convention, error) {
	c, err := contract.Load(j.export.path(contractFile))
	if err != nil {
		return validate.Convention{}, err
	}
	length := j.config.Text.Window
	if length == 0 {
		length = 512
		if c.MaxPositions > 0 {
			length = min(length, c.MaxPositions)
		}
	}
	if c.MaxPositions > 0 && length > c.MaxPositions {
		return validate.Convention{}, fault.New(fault.Usage, "checking pipeline", "[text] window",
			fmt.Sprintf("%d tokens are more than the model's %d positions", length, c.MaxPositions), "choose a smaller window")
	}
	return validate.Convention{Name: validate.HFNonOverlap, Length: length}, nil
}

// digests identify what a reference is about.
func (j *job) digests(ids []int) (validate.Digests, error) {
	model, err1 := validate.ModelDigest(j.config.Model.Path)
	text, err2 := fsx.Digest(j.config.Text.Evaluate)
	tokenizer, err3 := j.tokenizerDigest()
	return validate.Digests{Model: model, Text: text, Tokenizer: tokenizer, IDs: validate.IDsDigest(ids)}, errors.Join(err1, err2, err3)
}

// runReference has PyTorch score the text, or takes the recorded bundle once it
// has been held to model, text and tokenizer.
func (j *job) runReference(ctx context.Context, dir string, p progress.Counter) error {
	ids, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	convention, err := j.convention()
	if err != nil {
		return err
	}
	digests, err := j.digests(ids)
	if err != nil {
		return err
	}
	if bundle := j.config.Reference.Bundle; bundle != "" {
		return copyBundle(bundle, dir, digests, convention)
	}
	c, err := j.worker(ctx, worker.Reference)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "ids.bin")
	if err := os.WriteFile(path, validate.EncodeIDs(ids), 0o644); err != nil {
		return fsx.Explain("writing", path, err)
	}
	_, err = worker.Bundle(ctx, c, worker.BundleRequest{
		Model: j.config.Model.Path, IDs: path, Convention: convention.String(), Out: dir, Threads: j.threads, Digests: worker.Digests(digests), CreatedBy: j.options.CreatedBy,
	}, p)
	return err
}

// copyBundle takes a recorded bundle that is about what is in hand.
func copyBundle(from, to string, d validate.Digests, c validate.Convention) error {
	b, err := validate.Read(from)
	if err != nil {
		return err
	}
	defer func() { _ = b.Close() }()
	if err := b.Verify(d, c); err != nil {
		return err
	}
	for _, name := range []string{validate.HeaderFile, validate.DataFile} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return fsx.Explain("reading reference", name, err)
		}
		if err := fsx.WriteFile(filepath.Join(to, name), func(w io.Writer) error {
			_, err := io.Copy(w, bytes.NewReader(data))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
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

// runValidate scores the text through one engine, by prefill and by cached
// decode: an error in the cache shows in the second only.
func (j *job) runValidate(ctx context.Context, e *engineStage, dir string, p progress.Counter) error {
	ids, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	bundle, err := validate.Read(j.reference.dir)
	if err != nil {
		return err
	}
	defer func() { _ = bundle.Close() }()
	model, err := j.engineModel(e)
	if err != nil {
		return err
	}
	client, err := j.client(ctx)
	if err != nil {
		return err
	}
	var all []rows.Row
	for _, phase := range []string{jobs.Prefill, jobs.Decode} {
		score, err := jobs.Score(ctx, client, jobs.ScoreRequest{
			Model: model, IDs: ids, Convention: bundle.Convention, Bundle: j.reference.dir, Phase: phase,
		}, named{p, phase})
		if err != nil {
			return err
		}
		r, err := validate.Compare(bundle, score, validate.Options{Engine: e.Name(), Seed: j.config.Run.Seed})
		if err != nil {
			return err
		}
		all = append(all, r...)
	}
	return writeRows(filepath.Join(dir, rowsFile), j.options.CreatedBy, all)
}

// named puts what is being done in front of each note.
type named struct {
	progress.Counter
	what string
}

func (n named) Note(text string) { n.Counter.Note(n.what + " " + text) }

func writeRows(path, createdBy string, all []rows.Row) error {
	return fsx.WriteFile(path, func(w io.Writer) error { return rows.Write(w, createdBy, all) })
}

func readRows(path string) ([]rows.Row, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading rows", path, err)
	}
	defer func() { _ = f.Close() }()
	return rows.Read(f, path)
}

// rounds is how many turns each engine gets: repetitions are spread over them,
// so that drift of the machine does not favour one engine.
const rounds = 5

// runBench times all engines in turns.
func (j *job) runBench(ctx context.Context, dir string, p progress.Counter) error {
	client, err := j.client(ctx)
	if err != nil {
		return err
	}
	text, err := j.ids(j.config.Text.Evaluate)
	if err != nil {
		return err
	}
	engines := map[string]*engineStage{}
	var names []string
	for _, e := range j.engines {
		if e.validate != nil {
			engines[e.Name()] = e
			names = append(names, e.Name())
		}
	}
	scenarios := map[string]profiles.Scenario{}
	var order []string
	for _, s := range j.config.Workload.Scenarios {
		scenarios[s.Name] = s
		order = append(order, s.Name)
	}
	turns := bench.Order(j.config.Run.Seed, names, order, min(rounds, j.config.Run.Repetitions))
	p.SetMax(int64(len(turns)))
	var samples []bench.Sample
	for i, t := range turns {
		model, err := j.engineModel(engines[t.Engine])
		if err != nil {
			return err
		}
		model.Spin = true
		request := jobs.BenchRequest{
			Model: model, Engine: t.Engine, Round: t.Round, Text: text, Seed: j.config.Run.Seed,
			Repetitions: share(j.config.Run.Repetitions, min(rounds, j.config.Run.Repetitions), t.Round),
		}
		for _, name := range t.Scenarios {
			request.Scenarios = append(request.Scenarios, scenarios[name])
		}
		p.Note(t.Engine)
		// A scenario that fails is a row; a process that dies is no measurement.
		result, err := jobs.Bench(ctx, client, request, progress.Noop)
		if err != nil {
			return fmt.Errorf("timing %s: %w", t.Engine, err)
		}
		samples = append(samples, result.Samples...)
		p.Set(int64(i + 1))
	}
	return writeRows(filepath.Join(dir, rowsFile), j.options.CreatedBy, bench.Rows(samples))
}

// share is how many of n repetitions fall into one of several rounds.
func share(n, rounds, round int) int {
	k := n / rounds
	if round < n%rounds {
		k++
	}
	return k
}
