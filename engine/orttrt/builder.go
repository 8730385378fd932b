package orttrt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// Child is an ONNX Runtime child that serves [JobBuild]; an *ort.Client is one.
type Child interface {
	Call(ctx context.Context, job string, request, result any, p progress.Counter) error
	Close() error
}

// Builder builds with the TensorRT EP of one ONNX Runtime. An engine belongs to
// the GPU that it was built on.
type Builder struct {
	// Start starts the GPU build of ONNX Runtime with additions to its environment
	// and its log in log. Each build has a child of its own: TensorRT's choices depend
	// on the environment and its log is the account of the build.
	Start       func(ctx context.Context, env []string, log io.Writer) (Child, error)
	ONNXRuntime string // its version
	TensorRT    string // its version: libnvinfer's
	GPU         string // name and driver of the GPU
	Plugin      string // path of the provider's library where it is a plugin; "" is built in
	PluginSum   string // the sha256 of that library
	Timing      string // directory of the timing cache, which builds share; "" keeps none
	Table       string // path of the calibration table of implicit INT8
	CreatedBy   string // stands in manifests
}

var _ engine.Builder = (*Builder)(nil)

// Revision is the versions, the form of the provider and the GPU.
func (b *Builder) Revision() string {
	form := ""
	if b.Plugin != "" {
		form = fmt.Sprintf(" plugin %.12s", b.PluginSum)
	}
	return fmt.Sprintf("onnxruntime %s%s tensorrt %s on %s", b.ONNXRuntime, form, b.TensorRT, b.GPU)
}

// pluginOf finds the plugin in a revision.
var pluginOf = regexp.MustCompile(`^onnxruntime \S+ plugin ([0-9a-f]{12}) `)

// PluginOf is how the sha256 of the plugin begins that built an engine; "" where the
// provider was the one that is built in.
func PluginOf(m *engine.Manifest) string {
	if found := pluginOf.FindStringSubmatch(m.Builder); found != nil {
		return found[1]
	}
	return ""
}

// major is TensorRT's major version; 0 where nobody knows.
func (b *Builder) major() int {
	n := 0
	_, _ = fmt.Sscanf(b.TensorRT, "%d", &n)
	return n
}

// logFile is what the child said; timingDir where the timing cache lies during a
// build, tableFile the calibration table.
const (
	logFile   = "build.log"
	timingDir = "timing"
	tableFile = "calibration.table"
)

// large is the size from which on a graph with its weights inside cannot be parsed:
// protobuf's limit of 2 GiB, less what the graph itself takes.
const large = 2<<30 - 64<<20

// Build writes a context model and an engine for each session, with the .profile of
// the engine, and build.log. A node that TensorRT does not take, a profile that is
// not the one asked for, and a precision that the builder says it lost are errors of
// class runtime; what this machine lacks is one of class missing.
func (b *Builder) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	j, err := b.plan(r, dir)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	m, err := j.run(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	return m, nil
}

// Check is nil where the builder would take a request, by everything that can be
// known before a session is created.
func (b *Builder) Check(r engine.Request) error {
	_, err := b.plan(r, os.TempDir())
	return err
}

// job is one build.
type job struct {
	*Builder
	r        engine.Request
	c        Choices
	model    string // absolute
	dir      string
	sessions []session
}

// session is an engine of a job.
type session struct {
	Place
	profile profiles.Profile
	options map[string]string
}

// plan decides everything before a process is started.
func (b *Builder) plan(r engine.Request, dir string) (*job, error) {
	j := &job{Builder: b, r: r}
	var err error
	if j.c, err = ParseChoices(r.Options); err != nil {
		return nil, err
	}
	if r.Target != "" {
		return nil, fault.New(fault.Usage, "choosing", "a target", fmt.Sprintf("TensorRT builds for the GPU of this machine, not for %q", r.Target), "leave the target out, or build for rtx")
	}
	if j.model, err = filepath.Abs(r.Model); err != nil {
		return nil, err
	}
	if j.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := j.look(); err != nil {
		return nil, err
	}
	return j, j.layOut()
}

// look holds the graph against the request.
func (j *job) look() error {
	m, err := onnx.Load(j.model)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	want := j.r.Precision
	if i := j.c.Implicit; i != nil {
		if want != i.narrowest() {
			return fault.New(fault.Usage, "choosing", "a precision", fmt.Sprintf("%s is asked for, and the flags say %s", want, i.narrowest()), "ask for that")
		}
		want = engine.FP32 // flags are about graphs that say nothing
	}
	if err := engine.CheckGraph(m, want); err != nil {
		return err
	}
	j.c.UserInitializers = m.Size() >= large
	switch {
	case j.c.UserInitializers && j.Plugin != "":
		return fault.New(fault.Usage, "choosing", "the provider", "its plugin form takes the weights inside of the graph alone, 2 GB at most", "leave --plugin out, or build with trtexec")
	case j.c.UserInitializers && j.c.Embed:
		return fault.New(fault.Usage, "choosing", "where the engine lies", "an engine of more than 2 GB does not fit into its context model", "leave embed out")
	}
	if j.r.Plan == nil || len(j.r.Plan.Profiles) == 0 {
		return fault.New(fault.Usage, "choosing", "profiles", "there are none, and the provider would build again at every new length", "derive a plan: `trtforge profiles derive`")
	}
	if j.r.Contract != nil {
		if err := profiles.Validate(j.r.Contract, j.r.Plan.Profiles); err != nil {
			return fault.Wrap(fault.Usage, "checking", "the plan", err, "derive the plan from this graph")
		}
	}
	return namesAgree(m, j.r.Plan.Profiles)
}

// namesAgree demands that the profiles name what the graph's inputs are: one name
// too many makes the provider build again in every session, one too few not at all.
func namesAgree(m *onnx.Model, all []profiles.Profile) error {
	dynamic, ranks := map[string]bool{}, map[string]int{}
	for _, v := range m.Graph().GetInput() {
		if m.Weight(v.GetName()) != nil {
			continue
		}
		_, dims := onnx.TypeOf(v)
		dynamic[v.GetName()], ranks[v.GetName()] = false, len(dims)
		for _, d := range dims {
			dynamic[v.GetName()] = dynamic[v.GetName()] || d.Symbol != "" || d.Size < 0
		}
	}
	var errs []error
	bad := func(profile, cause string) {
		errs = append(errs, fault.New(fault.Usage, "checking profile", profile, cause, "derive the plan from this graph"))
	}
	for _, p := range all {
		named := map[string]bool{}
		for _, r := range p.Inputs {
			named[r.Input] = true
			if _, there := dynamic[r.Input]; !there {
				bad(p.Name, fmt.Sprintf("the graph has no input %s", r.Input))
			} else if rank := ranks[r.Input]; !r.Values && len(r.Min) != rank { // the provider would read beyond the range
				bad(p.Name, fmt.Sprintf("%s has %d dimensions, its range %d", r.Input, rank, len(r.Min)))
			}
		}
		for _, v := range m.Graph().GetInput() {
			if dynamic[v.GetName()] && !named[v.GetName()] {
				bad(p.Name, fmt.Sprintf("input %s has no range", v.GetName()))
			}
		}
	}
	return errors.Join(errs...)
}

// layOut gives each session its place and options.
func (j *job) layOut() error {
	groups := [][]profiles.Profile{j.r.Plan.Profiles}
	if j.c.Split {
		groups = nil
		for _, p := range j.r.Plan.Profiles {
			groups = append(groups, []profiles.Profile{p})
		}
		if err := phases(j.r.Plan.Profiles); err != nil {
			return err
		}
	}
	c := j.c
	if c.Implicit != nil && c.Implicit.Table != "" { // there it is a digest
		i := *c.Implicit
		i.Table, c.Implicit = tableFile, &i
	}
	for _, group := range groups {
		at := Place{Dir: j.dir, Prefix: "engine", Timing: filepath.Join(j.dir, timingDir)}
		if j.c.Split {
			at.Prefix = group[0].Name
		}
		o, err := c.Options(group, at, j.major())
		if err != nil {
			return err
		}
		j.sessions = append(j.sessions, session{at, group[0], o})
	}
	return nil
}

// The names of the profiles of a split plan.
const (
	prefill = "prefill"
	decode  = "decode"
)

// phases refuses a plan that cannot be split.
func phases(all []profiles.Profile) error {
	var names []string
	for _, p := range all {
		names = append(names, p.Name)
	}
	if len(names) == 2 && names[0] == prefill && names[1] == decode {
		return nil
	}
	return fault.New(fault.Usage, "splitting", "the plan", "its profiles are "+strings.Join(names, ", ")+", not prefill and decode",
		"derive one: `trtforge profiles derive --strategy phase --max-profiles 2`")
}

// run builds every session and holds what lies there against the request.
func (j *job) run(ctx context.Context, p progress.Counter) (m *engine.Manifest, err error) {
	log, err := os.Create(filepath.Join(j.dir, logFile))
	if err != nil {
		return nil, fsx.Explain("writing log", j.dir, err)
	}
	defer func() { err = errors.Join(err, fsx.Explain("writing log", j.dir, log.Close())) }()
	if err := j.prepare(); err != nil {
		return nil, err
	}
	c, err := j.Start(ctx, engine.GPUEnvironment(os.Environ(), j.c.TF32), log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	var results []buildResult
	p.SetMax(int64(len(j.sessions)))
	for i, s := range j.sessions {
		got, err := j.build(ctx, c, s, p.Sub(s.Prefix))
		if err != nil {
			return nil, j.explain(err, s)
		}
		results = append(results, got)
		p.Set(int64(i + 1))
	}
	if err := c.Close(); err != nil { // its log is whole then
		return nil, err
	}
	if err := j.keepTiming(); err != nil {
		return nil, err
	}
	return j.manifest(results)
}

// build builds one session.
func (j *job) build(ctx context.Context, c Child, s session, p progress.Counter) (buildResult, error) {
	var got buildResult
	p.Note("onnxruntime " + j.ONNXRuntime + ", tensorrt " + j.TensorRT)
	err := c.Call(ctx, JobBuild, buildRequest{
		Model: j.model, Provider: j.provider(s.options, false), Config: j.config(j.c, s.Place), Context: s.Context(), Open: j.provider(j.c.opening(), true),
	}, &got, p)
	switch {
	case err != nil:
		return got, err
	case got.Version != j.ONNXRuntime:
		return got, fault.New(fault.Runtime, "building", s.Prefix, fmt.Sprintf("the library is ONNX Runtime %s, not %s", got.Version, j.ONNXRuntime), "run `trtforge setup trt` and build again")
	}
	return got, partition(got.Subgraphs, j.provider(nil, false))
}
