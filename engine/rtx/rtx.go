// Package rtx builds TensorRT for RTX plans with NVIDIA's own builder, ahead of
// time, on any machine: no GPU and no driver is needed.
//
// The builder runs in a Python worker (internal/worker, py/rtx.py). The graph is
// always strongly typed, so precision is what the graph says; what was achieved
// is read from the line that the builder prints for each layer and held against
// the request.
//
//	b := &rtx.Builder{Start: start, Version: "1.7.1.116"}
//	manifest, err := b.Build(ctx, request, dir, counter)
//
// Plans run on RTX GPUs only (compute capability 8.6, 8.9, 12.0 and above; 8.0
// builds); this package runs none.
package rtx

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// Targets are the GPUs that a plan can be built for; "" is a portable plan.
var Targets = []string{"", "sm80", "sm86", "sm89", "sm120", "sm121"}

// CheckTarget refuses, as class usage, a GPU that no plan can be built for.
func CheckTarget(target string) error {
	if slices.Contains(Targets, target) {
		return nil
	}
	return fault.New(fault.Usage, "", "",
		fmt.Sprintf("TensorRT for RTX builds no plan for target %q: want %s, or none for a portable plan", target, strings.Join(Targets[1:], ", ")),
		"for other GPUs (H100 is sm90, B200 sm100) pack the build with `trtforge package --format bundle` and run it there")
}

// The files of an engine.
const (
	planFile  = "engine.plan"
	layerFile = "layers.txt"
	logFile   = "build.log"
)

const licence = "built by TensorRT for RTX under NVIDIA's licence, which says how plans may be distributed"

// Worker is the builder's process; *child.Child is one.
type Worker interface {
	Call(ctx context.Context, job string, request, result any, p progress.Counter) error
}

// Builder builds through one worker, which is started when it is first needed.
type Builder struct {
	// Start starts the worker.
	Start func(ctx context.Context) (Worker, error)
	// Version is the builder's version as the runtime's lock pins it.
	Version string
	// CreatedBy stands in manifests.
	CreatedBy string
}

var _ engine.Builder = (*Builder)(nil)

// Revision is the builder and its version.
func (b *Builder) Revision() string { return "tensorrt-rtx " + b.Version }

type request struct {
	Model    string             `json:"model"`
	Profiles []profiles.Profile `json:"profiles"`
	Target   string             `json:"target"`
	Out      string             `json:"out"`
}

type result struct {
	Version  string         `json:"version"`
	Bytes    int64          `json:"bytes"`
	Sum      string         `json:"sha256"` // of the plan, taken as it was written
	Profiles int            `json:"profiles"`
	Phases   []engine.Phase `json:"phases"`
	Warnings []string       `json:"warnings"`
	Peak     int64          `json:"peak_bytes"` // of this build; the worker's own may be of an earlier one
}

// Build writes engine.plan, layers.txt, the builder's account of its layers, and
// build.log, what else it said.
func (b *Builder) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	if r.Plan == nil || len(r.Plan.Profiles) == 0 {
		return nil, fault.New(fault.Usage, "building", r.Name, "a graph with dynamic inputs needs a plan of profiles", "derive one")
	}
	if err := CheckTarget(r.Target); err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	if r.Contract != nil {
		if err := profiles.Validate(r.Contract, r.Plan.Profiles); err != nil {
			return nil, fault.Wrap(fault.Usage, "building", r.Name, err, "derive the plan from this graph")
		}
	}
	if err := typed(r); err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	w, err := b.Start(ctx)
	if err != nil {
		return nil, err
	}
	model, err := filepath.Abs(r.Model)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	started := time.Now()
	var got result
	if err := w.Call(ctx, "build", request{model, r.Plan.Profiles, r.Target, dir}, &got, p); err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	return b.manifest(r, dir, got, engine.Measured{
		BuildMS: float64(time.Since(started).Microseconds()) / 1000, PeakBytes: got.Peak, Phases: got.Phases,
	})
}

// typed sees before the build that the graph is of the precision asked for.
func typed(r engine.Request) error {
	m, err := onnx.Load(r.Model)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return engine.CheckGraph(m, r.Precision)
}

// manifest records the build and refuses one that is not what was asked for.
func (b *Builder) manifest(r engine.Request, dir string, got result, measured engine.Measured) (*engine.Manifest, error) {
	plan := filepath.Join(dir, planFile)
	header, err := planfile.Read(plan)
	if err != nil {
		return nil, err
	}
	if got.Profiles != len(r.Plan.Profiles) || header.Version != b.Version {
		return nil, fault.New(fault.Runtime, "building", r.Name,
			fmt.Sprintf("the plan has %d of %d profiles and is of builder %s, want %s", got.Profiles, len(r.Plan.Profiles), header.Version, b.Version),
			"run `trtforge setup rtx` and build again")
	}
	if r.Target != "" && !slices.Equal(header.Targets, []string{r.Target}) {
		return nil, fault.New(fault.Runtime, "building", r.Name, fmt.Sprintf("the plan is for %q, asked for was %s", header.Targets, r.Target), "report this")
	}
	f, err := os.Open(filepath.Join(dir, layerFile))
	if err != nil {
		return nil, fsx.Explain("reading", layerFile, err)
	}
	defer func() { _ = f.Close() }()
	layers, err := Layers(f)
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fsx.Explain("reading", layerFile, err)
	}
	needs, err := engine.ReadMemory(f, r.Plan.Profiles)
	if err != nil {
		return nil, err
	}
	if err := whole(r, filepath.Join(dir, layerFile)); err != nil {
		return nil, err
	}
	achieved, err := engine.Achieved(r.Precision, layers)
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", r.Name, err)
	}
	return &engine.Manifest{
		Kind: "manifest", SchemaVersion: engine.SchemaVersion, CreatedBy: b.CreatedBy,
		Key: engine.Key(r, b.Revision()), Backend: r.Backend, Precision: r.Precision, Achieved: achieved, Target: r.Target,
		ModelDigest: r.ModelDigest, KVScale: r.KVScale(), Builder: b.Revision(), File: planFile, Account: layerFile, Log: logFile,
		Bytes: got.Bytes, FileDigest: got.Sum, Hashed: map[string]string{planFile: got.Sum}, Profiles: r.Plan.Profiles, Layers: layers, Memory: needs, Measured: measured,
		Licence: licence, Warnings: got.Warnings,
	}, nil
}
