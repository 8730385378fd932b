package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcuda"
	"github.com/trtforge/trtforge/engine/orttrt"
	"github.com/trtforge/trtforge/engine/trtexec"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
)

// The backends.
const (
	TensorRT = "orttrt"
	CUDA     = "ortcuda"
	Trtexec  = "trtexec"
)

// Backends are those that need this machine's GPU.
func Backends() []string { return []string{TensorRT, CUDA, Trtexec} }

// Is tells whether a backend is one of them.
func Is(backend string) bool { return slices.Contains(Backends(), backend) }

// Plans tells whether a backend of these builds profiles.
func Plans(backend string) bool { return backend != CUDA }

// Sessions tells whether engines of a backend run in ONNX Runtime.
func Sessions(backend string) bool { return backend == TensorRT || backend == CUDA }

// Options is what a builder is made of besides the machine.
type Options struct {
	Plugin    string // path of the TensorRT provider's library in its plugin form; "" is built in
	Trtexec   string // path of a trtexec; "" is looked for
	Table     string // path of the calibration table of implicit INT8
	Timing    string // directory of the timing caches; "" is that of trtforge
	Device    int    // which GPU
	Timeout   time.Duration
	CreatedBy string
}

// needs are what doctor has to find for a backend, in the order in which people
// mend it.
func needs(backend string, o Options) []string {
	switch {
	case backend == Trtexec:
		return []string{"cuda", "gpu"} // and a trtexec, of which the version counts too
	case backend == CUDA, o.Plugin != "": // a plugin brings its own TensorRT
		return []string{"cuda", "gpu", "ort-gpu"}
	}
	return []string{"cuda", "gpu", "trt"}
}

// Canonical are the options of a request in the form that its key is made of.
func Canonical(backend string, of map[string]string) (map[string]string, error) {
	switch backend {
	case TensorRT:
		c, err := orttrt.ParseChoices(of)
		return c.Map(), err
	case CUDA:
		c, err := ortcuda.ParseChoices(of)
		return c.Map(), err
	}
	if len(of) > 0 {
		return nil, fault.New(fault.Usage, "reading options of", backend, "it has none", "leave them out")
	}
	return nil, nil
}

// Check is nil where a backend can build on this machine; otherwise everything that
// is missing, at once.
func Check(ctx context.Context, m doctor.Machine, backend string, o Options) error {
	_, err := Builder(ctx, m, backend, o)
	return err
}

// Builder is a backend's builder on this machine. Its processes start when it
// builds.
func Builder(ctx context.Context, m doctor.Machine, backend string, o Options) (engine.Builder, error) {
	errs := []error{doctor.Require(ctx, m, needs(backend, o)...)}
	var tool trtexec.Tool
	if backend == Trtexec {
		var err error
		tool, err = findTool(ctx, o.Trtexec)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	gpu, err := doctor.FindGPU(ctx, m, o.Device)
	if err != nil {
		return nil, err
	}
	timing := o.Timing
	if timing == "" {
		home, err := runtimes.Home()
		if err != nil {
			return nil, err
		}
		timing = filepath.Join(home, "timing")
	}
	switch backend {
	case TensorRT:
		return tensorrt(gpu, timing, o)
	case CUDA:
		build, err := runtimes.FindGPUBuild(nil)
		return &ortcuda.Builder{ONNXRuntime: build.Version, GPU: gpu, CreatedBy: o.CreatedBy,
			Start: func(_ context.Context, env []string, log io.Writer) (ortcuda.Child, error) {
				return client(build, o, env, log), nil
			}}, err
	case Trtexec:
		return &trtexec.Builder{Tool: tool, GPU: gpu, Timing: filepath.Join(timing, "trtexec-"+tool.Version()+".cache"), CreatedBy: o.CreatedBy}, nil
	}
	return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("backend %q needs no GPU, or is none", backend), "")
}

// Prove is nil where a backend would take a request, as far as that can be known
// without a GPU: the graph's precision, the profiles and the options.
func Prove(r engine.Request) error {
	switch r.Backend {
	case TensorRT:
		return (&orttrt.Builder{TensorRT: runtimes.TRTMajor}).Check(r)
	case CUDA:
		return ortcuda.Check(r)
	}
	return (&trtexec.Builder{}).Check(r)
}

func findTool(ctx context.Context, path string) (trtexec.Tool, error) {
	if path == "" {
		return trtexec.Find(ctx)
	}
	return trtexec.Ask(ctx, path)
}

// tensorrt is the builder of the TensorRT provider.
func tensorrt(gpu, timing string, o Options) (engine.Builder, error) {
	var trt *runtimes.Runtime
	version := ""
	if o.Plugin == "" {
		found, err := runtimes.FindTRT()
		if err != nil {
			return nil, err
		}
		trt, version = &found, found.Versions["libnvinfer"]
	} else {
		digest, err := fsx.Digest(o.Plugin)
		if err != nil {
			return nil, fault.Wrap(fault.Missing, "using plugin", o.Plugin, err, "name the provider's library")
		}
		// Of which TensorRT it is, the library does not say; what it is, its digest does.
		version = fmt.Sprintf("of plugin %.12s", digest)
	}
	build, err := runtimes.FindGPUBuild(trt)
	if err != nil {
		return nil, err
	}
	if o.Plugin != "" {
		build.Dirs = append([]string{filepath.Dir(o.Plugin)}, append(build.Dirs, runtimes.TRTDirs()...)...)
	}
	return &orttrt.Builder{
		ONNXRuntime: build.Version, TensorRT: version, GPU: gpu, Plugin: o.Plugin, Table: o.Table,
		Timing: filepath.Join(timing, TensorRT), CreatedBy: o.CreatedBy,
		Start: func(_ context.Context, env []string, log io.Writer) (orttrt.Child, error) {
			return client(build, o, env, log), nil
		},
	}, nil
}

// client is a child of the GPU build.
func client(build runtimes.GPUBuild, o Options, env []string, log io.Writer) *ort.Client {
	return &ort.Client{Library: build.Library, Dirs: build.Dirs, Env: env, Log: log, Run: o.Timeout}
}

// Client is an ONNX Runtime child that runs an engine of these backends, and how its
// sessions are opened. Close it.
func Client(m *engine.Manifest, o Options, env []string, log io.Writer) (*ort.Client, *ort.Provider, error) {
	var p ort.Provider
	var err error
	var trt *runtimes.Runtime
	switch m.Backend {
	case CUDA:
		p, err = ortcuda.Provider(m)
	case TensorRT:
		if p, err = orttrt.Provider(m, o.Plugin); err == nil && o.Plugin == "" {
			var found runtimes.Runtime
			found, err = runtimes.FindTRT()
			trt = &found
		}
	default:
		err = fault.New(fault.Usage, "opening", m.Backend, "ONNX Runtime does not run such engines", "")
	}
	if err != nil {
		return nil, nil, err
	}
	build, err := runtimes.FindGPUBuild(trt)
	if err != nil {
		return nil, nil, err
	}
	tf32 := engine.OptionsOf(m.Inputs)["tf32"] == "1"
	return client(build, o, engine.GPUEnvironment(env, tf32), log), &p, nil
}
