package doctor

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/internal/runtimes"
)

func lookORT(_ context.Context, m Machine) finding {
	r, found := m.Find("ort")
	var f finding
	if found {
		f = finding{found: true, detail: append([]string{r.Library}, providers(r.Library, m.LibDirs)...)}
		version, err := runtimes.LibraryVersion(r.Library)
		if err != nil {
			f.warn = err.Error()
		}
		f.version = version
	}
	for _, other := range runtimes.FindShared("onnxruntime", m.LibDirs) {
		f.detail = append(f.detail, "also here, not used: "+other.Path+" "+other.Version)
	}
	return f
}

// providers is the execution providers of a libonnxruntime by the provider
// libraries beside it, each with what it would not find when it is loaded.
func providers(library string, dirs []string) []string {
	out := []string{"provider CPU: built in"}
	dir := filepath.Dir(library)
	found, _ := filepath.Glob(filepath.Join(dir, "libonnxruntime_providers_*.so"))
	for _, path := range found {
		name := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "libonnxruntime_providers_"), ".so")
		if name == "shared" {
			continue
		}
		line := "provider " + name + ": here"
		if lacking := unresolved(path, append([]string{dir}, dirs...)); len(lacking) > 0 {
			line = "provider " + name + ": lacks " + strings.Join(lacking, ", ")
		}
		out = append(out, line)
	}
	return out
}

// unresolved is the libraries that path needs and no directory has.
func unresolved(path string, dirs []string) []string {
	f, err := elf.Open(path)
	if err != nil {
		return []string{"a readable file: " + err.Error()}
	}
	defer func() { _ = f.Close() }()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return []string{"a readable file: " + err.Error()}
	}
	return slices.DeleteFunc(needed, func(name string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool {
			_, err := os.Stat(filepath.Join(dir, name))
			return err == nil
		})
	})
}

func lookRuntime(name string) func(context.Context, Machine) finding {
	return func(_ context.Context, m Machine) finding {
		r, found := m.Find(name)
		if !found {
			return finding{}
		}
		f := finding{found: true, version: r.VersionText(), detail: []string{r.Python}}
		if r.Brought != "" {
			f.detail = append(f.detail, "yours, by "+r.Brought)
		}
		return f
	}
}

func lookCUDA(ctx context.Context, m Machine) finding {
	libs := runtimes.FindShared("cuda", m.LibDirs)
	if len(libs) == 0 {
		return finding{detail: []string{"no libcuda.so.1 where the loader looks"}}
	}
	f := finding{found: true, version: libs[0].Version, detail: []string{libs[0].Path}}
	driver, gpus, err := askGPUs(ctx, m)
	if err != nil { // a library without a driver, as containers have it
		return finding{detail: append(f.detail, "the library is here but the driver does not answer: "+err.Error())}
	}
	if driver != "" {
		f.version = driver
	}
	if len(gpus) > 0 && gpus[0].CUDA != "" {
		f.detail = append(f.detail, "runs CUDA up to "+gpus[0].CUDA)
	}
	return f
}

func lookGPU(ctx context.Context, m Machine) finding {
	_, gpus, err := askGPUs(ctx, m)
	if err != nil {
		return finding{detail: []string{err.Error()}}
	}
	if len(gpus) == 0 {
		return finding{detail: []string{"the driver knows of none"}}
	}
	f := finding{found: true, version: gpus[0].Name}
	for i, g := range gpus {
		f.detail = append(f.detail, fmt.Sprintf("%d: %s, compute %s, %s, driver %s, CUDA %s",
			i, g.Name, g.Compute, runtimes.Size(int64(g.MemoryBytes)), g.Driver, g.CUDA))
	}
	return f
}

// askGPUs gives a driver that hangs a second and no more.
func askGPUs(ctx context.Context, m Machine) (string, []GPU, error) {
	type answer struct {
		driver string
		gpus   []GPU
		err    error
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	got := make(chan answer, 1)
	go func() {
		driver, gpus, err := m.GPUs()
		got <- answer{driver, gpus, err}
	}()
	select {
	case a := <-got:
		return a.driver, a.gpus, a.err
	case <-ctx.Done():
		return "", nil, fmt.Errorf("the NVIDIA driver did not answer within a second: %w", ctx.Err())
	}
}

// lookTRT is of everything that backend orttrt loads: the GPU build of ONNX Runtime,
// and TensorRT of the one major version that it links to.
func lookTRT(_ context.Context, m Machine) finding {
	var f finding
	lacks := func(format string, args ...any) { f.detail = append(f.detail, fmt.Sprintf(format, args...)) }
	build, installed := m.Find("trt")
	if installed {
		f.detail = append(f.detail, "ONNX Runtime for GPUs: "+build.VersionText())
	} else {
		lacks("the GPU build of ONNX Runtime is not installed")
	}
	whole := installed
	for _, stem := range []string{"nvinfer", "nvonnxparser"} {
		libs := runtimes.FindShared(stem, m.TRTDirs)
		right := false
		for _, l := range libs {
			f.detail = append(f.detail, l.Path+" (major "+l.Major()+")")
			if l.Major() == runtimes.TRTMajor && !right {
				right = true
				if stem == "nvinfer" {
					f.version = l.Version
				}
			}
		}
		switch {
		case len(libs) == 0:
			lacks("no lib%s.so where the loader looks", stem)
		case !right:
			lacks("none of major %s, which is the one that ONNX Runtime loads", runtimes.TRTMajor)
		}
		whole = whole && right
	}
	f.found = whole
	return f
}

func lookTrtexec(_ context.Context, m Machine) finding {
	for _, name := range []string{"trtexec", "/usr/src/tensorrt/bin/trtexec"} {
		if path, err := m.LookPath(name); err == nil {
			return finding{found: true, detail: []string{path}}
		}
	}
	return finding{}
}
