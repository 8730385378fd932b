package ortcpu

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Open is the level at which an engine of this backend is meant to be opened.
const Open = ort.OptimizeAll

// Caller passes jobs to an ONNX Runtime child that serves [JobOptimise]; an
// *ort.Client is one.
type Caller interface {
	Call(ctx context.Context, job string, request, result any, p progress.Counter) error
}

// Builder builds through one child.
type Builder struct {
	// Start gives the child, which is started when it is first needed.
	Start func(ctx context.Context) (Caller, error)
	// Version is ONNX Runtime's, as the runtime's lock pins it.
	Version string
	// CreatedBy stands in manifests.
	CreatedBy string
}

var _ engine.Builder = (*Builder)(nil)

// Revision is ONNX Runtime's version and the features of this machine's CPU
// that its kernels and rewritings depend on.
func (b *Builder) Revision() string { return "onnxruntime " + b.Version + " cpu " + ort.CPU() }

// Build writes model.onnx and model.onnx.data. A graph that is not of the
// precision asked for is fault.Input; one whose quantized products ONNX Runtime
// would not compute in integers is fault.Runtime.
func (b *Builder) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	if r.Target != "" {
		return nil, fault.New(fault.Usage, "building", r.Name, fmt.Sprintf("the CPU has no target %q", r.Target), "leave the target out")
	}
	if len(r.Options) > 0 {
		return nil, fault.New(fault.Usage, "building", r.Name, "backend ortcpu has no options", "leave them out")
	}
	asked, err := look(r.Model, r.Precision)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	measured, err := b.optimise(ctx, r, dir, p)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	made, err := look(filepath.Join(dir, file), "")
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	if err := made.keeps(asked, r.Precision); err != nil {
		fix := "check that scales lie on the weight's output axis and zero points are 0"
		if asked.half > 0 {
			fix = "quantize for ortcpu with --precision int8: between float16 tensors ONNX Runtime's CPU provider multiplies in float"
		}
		return nil, fault.Wrap(fault.Runtime, "building", r.Name, err, fix)
	}
	return b.manifest(r, dir, made, measured)
}

// optimise has the child do the work.
func (b *Builder) optimise(ctx context.Context, r engine.Request, dir string, p progress.Counter) (engine.Measured, error) {
	none := engine.Measured{}
	model, err := filepath.Abs(r.Model)
	if err != nil {
		return none, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return none, err
	}
	c, err := b.Start(ctx)
	if err != nil {
		return none, err
	}
	begin := time.Now()
	var got optimiseResult
	if err := c.Call(ctx, JobOptimise, optimiseRequest{model, dir}, &got, p); err != nil {
		return none, err
	}
	if got.Version != b.Version {
		return none, fault.New(fault.Runtime, "optimising", r.Model,
			fmt.Sprintf("the library is ONNX Runtime %s, not %s", got.Version, b.Version), "run `trtforge setup ort` and build again")
	}
	return engine.Measured{
		BuildMS: milliseconds(begin), PeakBytes: got.PeakBytes,
		Phases: []engine.Phase{{Name: "optimise", MS: got.OptimiseMS}, {Name: "verify", MS: got.VerifyMS}},
	}, nil
}

func (b *Builder) manifest(r engine.Request, dir string, made census, measured engine.Measured) (*engine.Manifest, error) {
	m := engine.NewManifest(r, b.Revision(), b.CreatedBy)
	m.File, m.Layers, m.Measured = file, made.layers, measured
	if n := made.layers["gemm fp32"]; r.Precision == engine.FP16 && n > 0 {
		m.Warnings = append(m.Warnings, fmt.Sprintf("%d matrix products compute in FP32: the CPU rounds weights and tensors to FP16, not the arithmetic", n))
	}
	return m, m.Weigh(dir, file+".data") // which is not there where all weights stand in the graph
}

// look takes the census of a model on disk, which is refused as class input where
// it is not of the precision wanted; "" wants none.
func look(path string, want engine.Precision) (census, error) {
	m, err := onnx.Load(path)
	if err != nil {
		return census{}, err
	}
	defer func() { _ = m.Close() }()
	if want != "" {
		if err := engine.CheckGraph(m, want); err != nil {
			return census{}, err
		}
	}
	return count(m), nil
}

// precision is what a graph was made for.
func (c census) precision() engine.Precision {
	switch {
	case c.products() > 0:
		return engine.INT8
	case c.packed > 0:
		return engine.W8
	case c.half > 0:
		return engine.FP16
	}
	return engine.FP32
}

// is compares the graph with what is asked for.
func (c census) is(want engine.Precision) error {
	if got := c.precision(); got != want {
		return fmt.Errorf("the graph is %s (%d products between Q/DQ or in integers, %d float16 weights), not %s",
			got, c.products(), c.half, want)
	}
	return nil
}

// products is how many matrix products the graph has that are quantized.
func (c census) products() int { return len(c.integers) + len(c.quantized) }

// keeps compares what was made with what the graph asked for. ONNX Runtime
// keeps a node's name when it fuses it.
func (c census) keeps(asked census, want engine.Precision) error {
	if len(c.integers) < asked.products() {
		lost := slices.DeleteFunc(append(asked.integers, asked.quantized...), func(name string) bool { return slices.Contains(c.integers, name) })
		return fmt.Errorf("ONNX Runtime computes %d of %d quantized matrix products in 8-bit integers, not %s",
			len(c.integers), asked.products(), strings.Join(lost, ", "))
	}
	return c.is(want)
}
