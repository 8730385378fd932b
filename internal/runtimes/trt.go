package runtimes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// TRTDownload is where NVIDIA hands out classic TensorRT.
const TRTDownload = "https://developer.nvidia.com/tensorrt"

// TRTMajor is the TensorRT that the GPU build of ONNX Runtime links to.
const TRTMajor = "10"

// tensorRT is the name under which --lib is remembered.
const tensorRT = "tensorrt"

// TRTDirs is where TensorRT is looked for: the directory that the user named, where
// the loader looks, and the environment that `trtforge setup trt` made, into which
// pip can install it.
func TRTDirs() []string {
	var dirs []string
	if all, err := readOverrides(); err == nil {
		if r, ok := all.Runtimes[tensorRT]; ok {
			dirs = append(dirs, filepath.Dir(r.Library))
		}
	}
	dirs = append(dirs, LibraryDirs()...)
	if r, ok := Find("trt"); ok && r.Site != "" {
		dirs = append(dirs, filepath.Join(r.Site, "tensorrt_libs"))
	}
	return dirs
}

// FindTRT is the installed TensorRT that ONNX Runtime can load, the first of
// [TRTDirs]: libnvinfer and libnvonnxparser of major version [TRTMajor]. What is
// missing, and another major version, are Missing errors that say what to run.
func FindTRT() (Runtime, error) { return trtIn(TRTDirs()) }

func trtIn(dirs []string) (Runtime, error) {
	infer := FindShared("nvinfer", dirs)
	if len(infer) == 0 {
		return Runtime{}, fault.New(fault.Missing, "finding", "TensorRT", "there is no libnvinfer in "+strings.Join(dirs, ", "), howToGetTRT())
	}
	i := slices.IndexFunc(infer, func(s Shared) bool { return s.Major() == TRTMajor })
	if i < 0 {
		return Runtime{}, fault.New(fault.Missing, "finding", "TensorRT "+TRTMajor,
			fmt.Sprintf("%s is of major version %s, and ONNX Runtime %s loads libnvinfer.so.%s", infer[0].Path, infer[0].Major(), VersionOf("trt"), TRTMajor),
			"install TensorRT "+TRTMajor+" beside it: "+howToGetTRT()+"; or use the provider's plugin form with this one (--plugin)")
	}
	r := Runtime{Name: tensorRT, Library: infer[i].Path, Brought: "found on this machine", Versions: map[string]string{"libnvinfer": exact(infer[i])}}
	parser := FindShared("nvonnxparser", dirs)
	i = slices.IndexFunc(parser, func(s Shared) bool { return s.Major() == TRTMajor })
	if i < 0 {
		return Runtime{}, fault.New(fault.Missing, "finding", "TensorRT's ONNX parser",
			fmt.Sprintf("%s is here, libnvonnxparser.so.%s is not", r.Library, TRTMajor), "install libnvonnxparsers"+TRTMajor+" of the same version")
	}
	r.Versions["libnvonnxparser"] = parser[i].Version
	return r, nil
}

// howToGetTRT says what to run. trtforge cannot: TensorRT's packages on the package
// index are stubs that download from elsewhere, which no lock pins and which is not
// reached everywhere, and a system package needs root.
func howToGetTRT() string {
	pip := "python3 -m pip"
	if r, ok := Find("trt"); ok && r.Python != "" {
		pip += " --python " + r.Python // where it is looked for, and no other environment
	}
	return "`" + pip + " install 'tensorrt-cu13>=" + TRTMajor + ",<11'`; or on Debian or Ubuntu with NVIDIA's repository " +
		"`apt-get install libnvinfer" + TRTMajor + " libnvonnxparsers" + TRTMajor + " libnvinfer-bin`; or unpack the archive from " + TRTDownload +
		" and run `trtforge setup trt --lib DIR/lib`. Without a GPU, use backend rtx (`trtforge setup rtx`)"
}

// exact is the version of a library: by its name, or by the package beside it where
// the name says the major version only, as pip's do.
func exact(s Shared) string {
	if strings.Contains(s.Version, ".") {
		return s.Version
	}
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(s.Path)), "tensorrt_*libs-"+s.Major()+".*.dist-info"))
	for _, dir := range found {
		_, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(dir), ".dist-info"), "-")
		return version
	}
	return s.Version
}

// UseTRT remembers the directory of a TensorRT, which is used from now on.
func UseTRT(dir string) (Runtime, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Runtime{}, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return Runtime{}, fault.New(fault.Usage, "setting up", "trt", dir+" is no directory", "name the directory that holds libnvinfer.so."+TRTMajor)
	}
	r, err := trtIn([]string{dir})
	if err != nil {
		return Runtime{}, err
	}
	r.Brought = "--lib"
	return r, editOverrides(func(m map[string]Runtime) { m[tensorRT] = r })
}

// EnsureTRT installs the GPU build of ONNX Runtime and the CUDA libraries that it
// links to, and finds TensorRT: the installed one first, or the one in lib. Where
// there is none the rest is installed all the same (backend ortcuda needs no more)
// and the error, of class missing, says what to run.
func EnsureTRT(ctx context.Context, lib string, o Options) ([]Runtime, error) {
	var trt Runtime
	var missing error
	if lib != "" {
		if trt, missing = UseTRT(lib); missing != nil {
			return nil, missing // nothing is downloaded for a directory that is wrong
		}
	}
	r, err := Ensure(ctx, "trt", o)
	if err != nil {
		return nil, err
	}
	if lib == "" {
		trt, missing = FindTRT() // again: pip may have put it into what was just made
	}
	if missing != nil {
		return []Runtime{r}, missing
	}
	return []Runtime{r, trt}, nil
}

// GPUBuild is the GPU build of ONNX Runtime as a child is started with it.
type GPUBuild struct {
	Library string   // libonnxruntime
	Version string   // its version
	Dirs    []string // where its providers find CUDA and TensorRT
}

// FindGPUBuild is the installed GPU build, with TensorRT where tensorrt is given.
func FindGPUBuild(tensorrt *Runtime) (GPUBuild, error) {
	fix := "run `trtforge setup trt --accept-licence`"
	r, ok := Find("trt")
	if !ok {
		return GPUBuild{}, fault.New(fault.Missing, "finding", "the GPU build of ONNX Runtime", "it is not installed", fix)
	}
	libs := FindShared("onnxruntime", []string{filepath.Join(r.Site, "onnxruntime", "capi")})
	if len(libs) == 0 {
		return GPUBuild{}, fault.New(fault.Missing, "finding", "the GPU build of ONNX Runtime", "there is no libonnxruntime in "+r.Site, fix)
	}
	b := GPUBuild{Library: libs[0].Path, Version: libs[0].Version}
	if tensorrt != nil {
		b.Dirs = append(b.Dirs, filepath.Dir(tensorrt.Library))
	}
	cuda, err := filepath.Glob(filepath.Join(r.Site, "nvidia", "*", "lib"))
	b.Dirs = append(b.Dirs, cuda...)
	return b, err
}

// loadGPU is a Python program that finds the GPU build of ONNX Runtime without
// importing it, which would need NumPy and a driver, loads it and the CUDA libraries
// that need no driver, and tells the version.
const loadGPU = `import ctypes, glob, importlib.util, json, os, sysconfig
site = sysconfig.get_path('purelib')
def load(*parts):
    path = sorted(glob.glob(os.path.join(*parts)))[0]
    return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
spec = importlib.util.find_spec('onnxruntime')
home = list(spec.submodule_search_locations)[0]
for name in 'libcudart.so.*', 'libcublasLt.so.*', 'libcublas.so.*', 'libcudnn.so.*':
    load(site, 'nvidia', '*', 'lib', name)
class Base(ctypes.Structure):
    _fields_ = [('GetApi', ctypes.c_void_p), ('GetVersionString', ctypes.CFUNCTYPE(ctypes.c_char_p))]
lib = load(home, 'capi', 'libonnxruntime.so.*')
lib.OrtGetApiBase.restype = ctypes.POINTER(Base)
version = lib.OrtGetApiBase().contents.GetVersionString().decode()
load(home, 'capi', 'libonnxruntime_providers_shared.so')
print(json.dumps({'versions': {'onnxruntime-gpu': version}, 'site': os.path.dirname(home)}))
`
