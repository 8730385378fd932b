package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	Plugin    string // path of the TensorRT provider's library in its plugin form; "" is what [PluginEnv] names, else built in
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

// Builder is a backend's builder on this machine, or everything that is missing for
// one, at once. Its processes start when it builds.
func Builder(ctx context.Context, m doctor.Machine, backend string, o Options) (engine.Builder, error) {
	if backend == TensorRT {
		o.Plugin = o.plugin()
	}
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
	build, version, err := provided(o)
	if err != nil {
		return nil, err
	}
	b := &orttrt.Builder{
		ONNXRuntime: build.Version, TensorRT: version, GPU: gpu, Plugin: o.Plugin, Table: o.Table,
		Timing: filepath.Join(timing, TensorRT), CreatedBy: o.CreatedBy,
		Start: func(_ context.Context, env []string, log io.Writer) (orttrt.Child, error) {
			return client(build, o, env, log), nil
		},
	}
	if o.Plugin != "" {
		b.PluginSum, err = fsx.Digest(o.Plugin)
	}
	return b, err
}

// provided is the GPU build with the TensorRT that its provider loads, and the version
// of that: the one which ONNX Runtime links to, or the one which a plugin links to.
func provided(o Options) (build runtimes.GPUBuild, version string, err error) {
	find := runtimes.FindTRT
	if o.Plugin != "" {
		find = func() (runtimes.Runtime, error) { return runtimes.LinkedTRT(o.Plugin) }
	}
	trt, err := find()
	if err != nil {
		return build, "", err
	}
	version = trt.Versions["libnvinfer"]
	if trt.Library == "" { // its digest has to do
		build, err = runtimes.FindGPUBuild(nil)
		version = "of unknown version"
	} else {
		build, err = runtimes.FindGPUBuild(&trt)
	}
	if o.Plugin != "" {
		build.Dirs = append([]string{filepath.Dir(o.Plugin)}, build.Dirs...)
	}
	return build, version, err
}

// client is a child of the GPU build.
func client(build runtimes.GPUBuild, o Options, env []string, log io.Writer) *ort.Client {
	return &ort.Client{Library: build.Library, Dirs: build.Dirs, Env: env, Log: log, Run: o.Timeout}
}

// Client is an ONNX Runtime child that runs an engine of these backends, and how its
// sessions are opened. Close it. What the machine lacks for that is an error of class
// missing, all of it at once.
func Client(ctx context.Context, on doctor.Machine, m *engine.Manifest, o Options, env []string, log io.Writer) (*ort.Client, *ort.Provider, error) {
	if !Sessions(m.Backend) {
		return nil, nil, fault.New(fault.Usage, "opening", m.Backend, "ONNX Runtime does not run such engines", "")
	}
	o, err := o.as(m)
	if err = errors.Join(err, doctor.Require(ctx, on, needs(m.Backend, o)...)); err != nil {
		return nil, nil, err
	}
	var p ort.Provider
	var build runtimes.GPUBuild
	if m.Backend == CUDA {
		if p, err = ortcuda.Provider(m); err == nil {
			build, err = runtimes.FindGPUBuild(nil)
		}
	} else {
		if p, err = orttrt.Provider(m, o.Plugin); err == nil {
			build, _, err = provided(o)
		}
		err = errors.Join(err, ofThisGPU(ctx, on, m))
	}
	if err != nil {
		return nil, nil, err
	}
	tf32 := engine.OptionsOf(m.Inputs)["tf32"] == "1"
	return client(build, o, engine.GPUEnvironment(env, tf32), log), &p, nil
}

// compute is a GPU's compute capability in what it says of itself ([doctor.GPU]).
var compute = regexp.MustCompile(`, compute ([0-9.]+), driver `)

// ofThisGPU refuses an engine of another kind of GPU, of which the provider only warns
// before TensorRT refuses it in words of its own.
func ofThisGPU(ctx context.Context, on doctor.Machine, m *engine.Manifest) error {
	of := engine.OptionsOf(m.Inputs)
	device, _ := strconv.Atoi(of["device"])
	gpu, err := doctor.FindGPU(ctx, on, device)
	if err != nil {
		return err
	}
	was, is := compute.FindStringSubmatch(m.Builder), compute.FindStringSubmatch(gpu)
	if was == nil || is == nil || was[1] == is[1] || of["hardware-compatible"] == "1" {
		return nil
	}
	return fault.New(fault.Missing, "opening", "an engine of another GPU", fmt.Sprintf("it was built for compute %s, this machine has %s", was[1], gpu), "build it here, or where it was built with --option hardware-compatible=1")
}

// as is the options with the provider's form that built an engine: what one has
// built the other may open as something else, or not at all.
func (o Options) as(m *engine.Manifest) (Options, error) {
	want := orttrt.PluginOf(m)
	if o.Plugin = o.plugin(); want == "" {
		o.Plugin = ""
		return o, nil
	}
	lacks := func(cause string) error {
		return fault.New(fault.Missing, "opening", "an engine of the provider's plugin form", cause, "name the library that built it in "+PluginEnv+", or build the engine again")
	}
	if o.Plugin == "" {
		return o, lacks(fmt.Sprintf("no library of it is named; the sha256 of the one that built the engine begins with %s", want))
	}
	digest, err := fsx.Digest(o.Plugin)
	if err != nil {
		return o, lacks(err.Error())
	}
	if !strings.HasPrefix(digest, want) {
		return o, lacks(fmt.Sprintf("%s has the sha256 %.12s, the one that built the engine %s", o.Plugin, digest, want))
	}
	return o, nil
}

// PluginEnv names the library of the TensorRT provider's plugin form, for what builds
// and opens engines of it and names none.
const PluginEnv = "TRTFORGE_TRT_PLUGIN"

func (o Options) plugin() string {
	if o.Plugin != "" {
		return o.Plugin
	}
	return os.Getenv(PluginEnv)
}
