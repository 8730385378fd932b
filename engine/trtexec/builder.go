package trtexec

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// Builder builds with one trtexec. A plan belongs to the GPU that it was built on.
type Builder struct {
	Tool Tool
	// GPU is the name and the driver of the machine's GPU, which a plan depends on.
	GPU string
	// Timing is the file of the timing cache, which builds share; "" keeps none.
	Timing string
	// CreatedBy stands in manifests.
	CreatedBy string
}

var _ engine.Builder = (*Builder)(nil)

// Revision is TensorRT's version and the GPU.
func (b *Builder) Revision() string { return "tensorrt " + b.Tool.Version() + " on " + b.GPU }

// Build writes engine.plan, layers.json and trtexec.log.
func (b *Builder) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if err := b.Check(r); err != nil {
		return nil, err
	}
	var paths [2]string
	for i, path := range []string{r.Model, dir} {
		var err error
		if paths[i], err = filepath.Abs(path); err != nil {
			return nil, fmt.Errorf("building %s: %w", r.Name, err)
		}
	}
	args, err := b.Tool.arguments(r, paths[0], paths[1], b.Timing)
	if err != nil {
		return nil, err
	}
	p.Note("trtexec " + b.Tool.Version())
	begin := time.Now()
	if err := b.Tool.run(ctx, r, args, paths[1]); err != nil {
		return nil, err
	}
	return b.manifest(r, dir, engine.Measured{BuildMS: float64(time.Since(begin).Microseconds()) / 1000})
}

// Check refuses what trtexec cannot build, by everything that can be known before it
// runs.
func (b *Builder) Check(r engine.Request) error {
	bad := func(cause, fix string) error { return fault.New(fault.Usage, "building", r.Name, cause, fix) }
	switch {
	case r.Plan == nil || len(r.Plan.Profiles) == 0:
		return bad("a graph with dynamic inputs needs a plan of profiles", "derive one")
	case r.Target != "":
		return bad(fmt.Sprintf("trtexec builds for the GPU of this machine, not for %q", r.Target), "leave the target out, or build for rtx")
	case len(r.Options) > 0:
		return bad("backend trtexec has no options", "leave them out")
	}
	if r.Contract != nil {
		if err := profiles.Validate(r.Contract, r.Plan.Profiles); err != nil {
			return fault.Wrap(fault.Usage, "building", r.Name, err, "derive the plan from this graph")
		}
	}
	m, err := onnx.Load(r.Model)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return engine.CheckGraph(m, r.Precision)
}

// manifest records the build and refuses one that is not what was asked for.
func (b *Builder) manifest(r engine.Request, dir string, measured engine.Measured) (*engine.Manifest, error) {
	info, err := os.Stat(filepath.Join(dir, planFile))
	if err != nil || info.Size() == 0 {
		return nil, fault.New(fault.Runtime, "building", r.Name, "trtexec ended well and left no engine: "+tail(filepath.Join(dir, logFile)), "report this")
	}
	a, err := readLayers(filepath.Join(dir, layerFile))
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	if a.profiles != len(r.Plan.Profiles) {
		return nil, fault.New(fault.Runtime, "building", r.Name,
			fmt.Sprintf("the engine has %d of %d profiles", a.profiles, len(r.Plan.Profiles)), "read its log for the profile that was refused")
	}
	achieved, err := engine.Achieved(r.Precision, a.layers)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	needs, phases, err := told(filepath.Join(dir, logFile), r.Plan.Profiles)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	measured.Phases = phases
	m := engine.NewManifest(r, b.Revision(), b.CreatedBy)
	m.File, m.Account, m.Log, m.Licence = planFile, layerFile, logFile, "built by TensorRT under NVIDIA's licence, which says how plans may be distributed"
	m.Achieved, m.Layers, m.Memory, m.Measured = achieved, a.layers, needs, measured
	return m, m.Weigh(dir)
}
