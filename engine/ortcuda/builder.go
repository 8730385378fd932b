package ortcuda

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// Child is an ONNX Runtime child that serves [JobBuild]; an *ort.Client is one.
type Child interface {
	Call(ctx context.Context, job string, request, result any, p progress.Counter) error
	Close() error
}

// Builder builds with the GPU build of ONNX Runtime.
type Builder struct {
	// Start starts it with additions to its environment and its log in log.
	Start       func(ctx context.Context, env []string, log io.Writer) (Child, error)
	ONNXRuntime string // its version
	GPU         string // name and driver of the GPU
	CreatedBy   string // stands in manifests
}

var _ engine.Builder = (*Builder)(nil)

// Revision is ONNX Runtime's version and the GPU, whose capability decides which
// kernels are chosen.
func (b *Builder) Revision() string { return "onnxruntime " + b.ONNXRuntime + " cuda on " + b.GPU }

const logFile = "build.log"

// takes are the precisions that the provider multiplies in.
var takes = []engine.Precision{engine.FP32, engine.FP16, engine.BF16}

// Build writes model.onnx and model.onnx.data.
func (b *Builder) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (m *engine.Manifest, err error) {
	defer func() {
		if err != nil {
			m, err = nil, fmt.Errorf("building %s: %w", r.Name, err)
		}
	}()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c, err := check(r)
	if err != nil {
		return nil, err
	}
	request := buildRequest{Provider: c.provider()}
	if request.Model, err = filepath.Abs(r.Model); err != nil {
		return nil, err
	}
	if request.Dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, logFile))
	if err != nil {
		return nil, fsx.Explain("writing log", dir, err)
	}
	defer func() { err = errors.Join(err, fsx.Explain("writing log", dir, log.Close())) }()
	child, err := b.Start(ctx, engine.GPUEnvironment(os.Environ(), c.TF32), log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = child.Close() }()
	var got buildResult
	if err := child.Call(ctx, JobBuild, request, &got, p); err != nil {
		return nil, err
	}
	if got.Version != b.ONNXRuntime {
		return nil, fault.New(fault.Runtime, "building", r.Model, fmt.Sprintf("the library is ONNX Runtime %s, not %s", got.Version, b.ONNXRuntime), "run `trtforge setup trt` and build again")
	}
	return b.manifest(r, dir, got)
}

// Check is nil where the builder would take a request, by everything that can be
// known before a session is created.
func Check(r engine.Request) error {
	_, err := check(r)
	return err
}

// check refuses what the provider cannot build, before anything is started.
func check(r engine.Request) (Choices, error) {
	c, err := ParseChoices(r.Options)
	switch {
	case err != nil:
		return c, err
	case r.Target != "":
		return c, fault.New(fault.Usage, "choosing", "a target", fmt.Sprintf("the engine is for the GPU of this machine, not for %q", r.Target), "leave the target out")
	case !slices.Contains(takes, r.Precision):
		return c, fault.New(fault.Input, "choosing", "a precision", fmt.Sprintf("the CUDA provider multiplies %s graphs in float", r.Precision), "build it for orttrt, rtx or ortcpu")
	}
	m, err := onnx.Load(r.Model)
	if err != nil {
		return c, err
	}
	defer func() { _ = m.Close() }()
	return c, engine.CheckGraph(m, r.Precision)
}

// shapes are the operators that may run on the CPU: ONNX Runtime keeps there, next
// to the sizes that it needs on the host, the arithmetic of shapes.
var shapes = strings.Fields("Shape Size Constant ConstantOfShape Gather Concat Slice Squeeze Unsqueeze Cast Identity Reshape Range " +
	"Add Sub Mul Div Mod Min Max Equal Less LessOrEqual Greater GreaterOrEqual And Or Not Where Expand ReduceProd ReduceMax ReduceMin")

// numbers are the nodes of a graph that give more than a few floats, which is work and no
// arithmetic of shapes. ONNX Runtime states every type in what it saves.
func numbers(path string) (map[string]bool, error) {
	m, err := onnx.Load(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Close() }()
	many := map[string]bool{}
	for _, v := range slices.Concat(m.Graph().GetValueInfo(), m.Graph().GetOutput()) {
		t, dims := onnx.TypeOf(v)
		n := int64(1)
		for _, d := range dims {
			if n *= d.Size; d.Symbol != "" || d.Size < 0 {
				n = few + 1
				break
			}
		}
		many[v.GetName()] = t.IsFloat() && n > few
	}
	by := map[string]bool{}
	for _, n := range m.Graph().GetNode() {
		by[n.GetName()] = slices.ContainsFunc(n.GetOutput(), func(name string) bool { return many[name] })
	}
	return by, nil
}

// few is how many floats a size or a scale has at most.
const few = 8

// onGPU counts who runs what, and refuses work on the CPU; numbers are of the graph that
// is run.
func onGPU(all []ort.Subgraph, numbers map[string]bool) (layers map[string]int, onCPU int, err error) {
	layers = map[string]int{}
	var wrong []string
	cuda := 0
	for _, g := range all {
		for _, n := range g.Nodes {
			if g.Provider == "CUDAExecutionProvider" {
				cuda++
				layers["node "+strings.ToLower(n.Op)]++
				continue
			}
			onCPU++
			layers["cpu "+strings.ToLower(n.Op)]++
			if !slices.Contains(shapes, n.Op) || numbers[n.Name] {
				wrong = append(wrong, n.Op+" "+n.Name)
			}
		}
	}
	switch {
	case cuda == 0:
		return nil, onCPU, fault.New(fault.Runtime, "giving the graph to", "CUDA", fmt.Sprintf("no node of %d is the GPU's", onCPU), "`trtforge doctor --need cuda,gpu` says what is missing")
	case len(wrong) > 0:
		return nil, onCPU, fault.New(fault.Runtime, "giving the graph to", "CUDA",
			fmt.Sprintf("%d nodes would run on the CPU: %s", len(wrong), strings.Join(wrong[:min(len(wrong), 8)], ", ")), "export the graph without them")
	}
	return layers, onCPU, nil
}

func (b *Builder) manifest(r engine.Request, dir string, got buildResult) (*engine.Manifest, error) {
	floats, err := numbers(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	layers, onCPU, err := onGPU(got.Subgraphs, floats)
	if err != nil {
		return nil, err
	}
	m := engine.NewManifest(r, b.Revision(), b.CreatedBy)
	m.File, m.Log, m.Layers = file, logFile, layers
	m.Measured = engine.Measured{
		BuildMS: got.BuildMS + got.VerifyMS, PeakBytes: got.PeakBytes,
		Phases: []engine.Phase{{Name: "optimise", MS: got.BuildMS}, {Name: "verify", MS: got.VerifyMS}},
	}
	if onCPU > 0 {
		m.Warnings = append(m.Warnings, fmt.Sprintf("%d nodes run on the CPU: the arithmetic of shapes", onCPU))
	}
	return m, m.Weigh(dir, file+".data") // which is not there where all weights stand in the graph
}
