package runtimes

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
	if r, ok := Find("trt"); ok {
		dirs = append(dirs, filepath.Join(siteOf(r), "tensorrt_libs"))
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

// nvinfer is how a library names the TensorRT that it links to.
var nvinfer = regexp.MustCompile(`^libnvinfer\.so\.(\d+)$`)

// LinkedTRT is the TensorRT that a library links to, of whichever major version: the
// first of its own directory and [TRTDirs]. Of a library that links to none it is the
// zero Runtime; one that is not here is a Missing error.
func LinkedTRT(library string) (Runtime, error) {
	f, err := elf.Open(library)
	if err != nil {
		return Runtime{}, fault.Wrap(fault.Missing, "using plugin", library, err, "name the provider's library")
	}
	defer func() { _ = f.Close() }()
	needed, err := f.ImportedLibraries()
	if err != nil {
		return Runtime{}, fault.Wrap(fault.Missing, "using plugin", library, err, "name the provider's library")
	}
	for _, name := range needed {
		m := nvinfer.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		dirs := append([]string{filepath.Dir(library)}, TRTDirs()...)
		found := FindShared("nvinfer", dirs)
		i := slices.IndexFunc(found, func(s Shared) bool { return s.Major() == m[1] })
		if i < 0 {
			return Runtime{}, fault.New(fault.Missing, "finding", "TensorRT "+m[1],
				fmt.Sprintf("%s links to %s, which is not in %s", library, name, strings.Join(dirs, ", ")), "install TensorRT "+m[1]+", or name its directory in LD_LIBRARY_PATH")
		}
		return Runtime{Name: tensorRT, Library: found[i].Path, Versions: map[string]string{"libnvinfer": exact(found[i])}}, nil
	}
	return Runtime{}, nil
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

// TRTPython is the environment of `trtforge setup trt` where pip has put TensorRT's
// Python bindings into it.
func TRTPython() (python string, ok bool) {
	r, ok := Find("trt")
	if !ok {
		return "", false
	}
	_, err := os.Stat(filepath.Join(siteOf(r), "tensorrt"))
	return r.Python, err == nil
}

// CUDART is a CUDA runtime that an installed environment has brought, for programs that
// find none where the loader looks; "" where there is none.
func CUDART() string {
	for _, name := range []string{"trt", "reference"} {
		if r, ok := Find(name); ok {
			if found, _ := filepath.Glob(filepath.Join(siteOf(r), "nvidia", "*", "lib", "libcudart.so.*")); len(found) > 0 {
				return found[0]
			}
		}
	}
	return ""
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
	site := siteOf(r)
	libs := FindShared("onnxruntime", []string{filepath.Join(site, "onnxruntime", "capi")})
	if len(libs) == 0 {
		return GPUBuild{}, fault.New(fault.Missing, "finding", "the GPU build of ONNX Runtime", "there is no libonnxruntime in "+site, fix)
	}
	b := GPUBuild{Library: libs[0].Path, Version: libs[0].Version}
	if tensorrt != nil {
		b.Dirs = append(b.Dirs, filepath.Dir(tensorrt.Library))
	}
	cuda, err := filepath.Glob(filepath.Join(site, "nvidia", "*", "lib"))
	b.Dirs = append(b.Dirs, cuda...)
	return b, err
}

// siteOf is where the packages of a Python environment live, one that a variable names
// included, which nobody has asked.
func siteOf(r Runtime) string {
	if r.Site != "" {
		return r.Site
	}
	found, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(r.Python)), "lib", "python3*", "site-packages"))
	if len(found) == 0 {
		return filepath.Dir(r.Python)
	}
	return found[0]
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
