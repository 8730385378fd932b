package testenv

import (
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/internal/runtimes"
)

// GPUBuild is the GPU build of ONNX Runtime, made of what other tests install: the
// library of runtime "oracle-trt" and the CUDA libraries that PyTorch brings.
func GPUBuild(t testing.TB) runtimes.GPUBuild {
	t.Helper()
	site := func(runtime string) string {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(Python(t, runtime))), "lib", "python3*", "site-packages"))
		if len(found) != 1 {
			Lacking(t, runtime, "runtime "+runtime+" has no site-packages beside its interpreter")
		}
		return found[0]
	}
	libraries := runtimes.FindShared("onnxruntime", []string{filepath.Join(site("oracle-trt"), "onnxruntime", "capi")})
	cuda, _ := filepath.Glob(filepath.Join(site("reference"), "nvidia", "*", "lib"))
	if len(libraries) == 0 || len(cuda) == 0 {
		Lacking(t, "oracle-trt", "ONNX Runtime with TensorRT, or the CUDA libraries that it links to, is not installed")
	}
	return runtimes.GPUBuild{Library: libraries[0].Path, Version: libraries[0].Version, Dirs: cuda}
}
