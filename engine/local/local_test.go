package local

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcuda"
	"github.com/trtforge/trtforge/engine/orttrt"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/testenv"
)

func touch(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// equipped is a machine with a GPU and a driver, the GPU build of ONNX Runtime and
// TensorRT 10. Its libraries are empty files: nothing here loads them.
func equipped(t *testing.T) doctor.Machine {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TRTFORGE_HOME", filepath.Join(dir, "home"))
	t.Setenv("TRTFORGE_TRT_PYTHON", touch(t, filepath.Join(dir, "venv", "bin", "python")))
	site := filepath.Join(dir, "venv", "lib", "python3.11", "site-packages")
	touch(t, filepath.Join(site, "onnxruntime", "capi", "libonnxruntime.so.1.31.1"))
	touch(t, filepath.Join(site, "nvidia", "cu13", "lib", "libcudart.so.13"))
	libs := filepath.Join(dir, "lib")
	for _, name := range []string{"libcuda.so.1", "libnvinfer.so.10.13.3", "libnvonnxparser.so.10.13.3"} {
		touch(t, filepath.Join(libs, name))
	}
	t.Setenv("LD_LIBRARY_PATH", libs)
	return doctor.Machine{
		Find: runtimes.Find, LibDirs: runtimes.LibraryDirs(), TRTDirs: runtimes.TRTDirs(),
		LookPath: func(string) (string, error) { return "", os.ErrNotExist },
		GPUs: func() (string, []doctor.GPU, error) {
			return "570.1", []doctor.GPU{{Name: "H100", Compute: "9.0", Driver: "570.1"}}, nil
		},
	}
}

func TestBuildersOfAnEquippedMachine(t *testing.T) {
	m := equipped(t)
	b, err := Builder(t.Context(), m, TensorRT, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Revision(); got != "onnxruntime 1.31.1 tensorrt 10.13.3 on H100, compute 9.0, driver 570.1" {
		t.Error(got)
	}
	child, err := b.(*orttrt.Builder).Start(t.Context(), []string{"A=b"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c := child.(*ort.Client)
	if !strings.HasSuffix(c.Library, "libonnxruntime.so.1.31.1") || len(c.Dirs) != 2 || c.Dirs[0] != os.Getenv("LD_LIBRARY_PATH") || c.Env[0] != "A=b" {
		t.Errorf("%+v", c)
	}
	b, err = Builder(t.Context(), m, CUDA, Options{})
	if err != nil || b.(*ortcuda.Builder).ONNXRuntime != "1.31.1" {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := Builder(t.Context(), m, TensorRT, Options{Device: 1}); fault.Exit(err) != 3 || !strings.Contains(err.Error(), "there are 1") {
		t.Errorf("GPU 1: %v", err)
	}
	if _, err := Builder(t.Context(), m, "rtx", Options{}); fault.Exit(err) != 2 {
		t.Errorf("rtx: %v", err)
	}
}

// linked makes a library that links to TensorRT of a major version, and that.
func linked(t *testing.T, major string) (plugin string) {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		testenv.Lacking(t, "cc", "a C compiler makes the library of a plugin")
	}
	dir := t.TempDir()
	name := "libnvinfer.so." + major
	plugin = filepath.Join(dir, "libonnxruntime_ep_tensorrt.so")
	for _, args := range [][]string{
		{"-Wl,-soname," + name, "-o", filepath.Join(dir, name)},
		{"-Wl,--no-as-needed", "-o", plugin, "-L" + dir, "-l:" + name},
	} {
		c := exec.Command(cc, append([]string{"-shared", "-fPIC", "-x", "c", "/dev/null", "-x", "none"}, args...)...)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return plugin
}

// TestPluginIsOfTheTensorRTThatItLinksTo: a plugin of TensorRT 11 finds that one beside
// it, is another engine's key, has no precision by flags, and opens what it has built and
// nothing else does.
func TestPluginIsOfTheTensorRTThatItLinksTo(t *testing.T) {
	m := equipped(t)
	plugin := linked(t, "11")
	digest, err := fsx.Digest(plugin)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Builder(t.Context(), m, TensorRT, Options{Plugin: plugin})
	if err != nil {
		t.Fatal(err)
	}
	if want := "onnxruntime 1.31.1 plugin " + digest[:12] + " tensorrt 11 on H100"; !strings.HasPrefix(b.Revision(), want) {
		t.Errorf("%s, want %s", b.Revision(), want)
	}
	of := &engine.Manifest{Backend: TensorRT, Builder: b.Revision(), Inputs: engine.Inputs(engine.Request{}, "")}
	if _, _, err := Client(t.Context(), m, of, Options{}, nil, nil); fault.Exit(err) != 3 || !strings.Contains(err.Error(), digest[:12]) {
		t.Errorf("without the plugin: %v", err)
	}
	if _, _, err := Client(t.Context(), m, of, Options{Plugin: linked(t, "10")}, nil, nil); fault.Exit(err) != 3 || !strings.Contains(err.Error(), "the one that built the engine") {
		t.Errorf("by another plugin: %v", err)
	}
	t.Setenv(PluginEnv, plugin)
	c, p, err := Client(t.Context(), m, of, Options{}, nil, nil)
	if err != nil || p.Library != plugin || p.Name != orttrt.PluginName || c.Dirs[0] != filepath.Dir(plugin) {
		t.Errorf("%+v, %+v, %v", c, p, err)
	}
	of.Builder = "onnxruntime 1.31.1 tensorrt 10.13.3 on H100"
	if _, p, err = Client(t.Context(), m, of, Options{}, nil, nil); err != nil || p.Library != "" {
		t.Errorf("an engine of the built-in provider: %+v, %v", p, err)
	}
	of.Builder = "onnxruntime 1.31.1 tensorrt 10.13.3 on L4, compute 8.9, driver 570.1"
	if _, _, err = Client(t.Context(), m, of, Options{}, nil, nil); fault.Exit(err) != 3 || !strings.Contains(err.Error(), "built for compute 8.9") {
		t.Errorf("an engine of another GPU: %v", err)
	}
	of.Inputs["option hardware-compatible"] = "1"
	if _, _, err = Client(t.Context(), m, of, Options{}, nil, nil); err != nil {
		t.Errorf("one that is of several: %v", err)
	}
	if err := os.Remove(filepath.Join(filepath.Dir(plugin), "libnvinfer.so.11")); err != nil {
		t.Fatal(err)
	}
	if _, err := Builder(t.Context(), m, TensorRT, Options{}); fault.Exit(err) != 3 || !strings.Contains(err.Error(), "libnvinfer.so.11") {
		t.Errorf("without TensorRT 11: %v", err)
	}
	t.Setenv(PluginEnv, os.Args[0]+".none")
	if _, err := Builder(t.Context(), m, TensorRT, Options{}); fault.Exit(err) != 3 {
		t.Errorf("no library: %v", err)
	}
}

func TestEverythingThatIsMissingIsTold(t *testing.T) {
	m := equipped(t)
	m.GPUs = func() (string, []doctor.GPU, error) { return "", nil, errors.New("no driver") }
	m.TRTDirs = nil
	t.Setenv("TRTFORGE_TRT_PYTHON", filepath.Join(t.TempDir(), "none"))
	for backend, names := range map[string][]string{TensorRT: {"cuda", "gpu", "trt"}, CUDA: {"cuda", "gpu", "ort-gpu"}, Trtexec: {"cuda", "gpu", "trtexec"}} {
		t.Setenv("PATH", "")
		_, err := Builder(t.Context(), m, backend, Options{})
		for _, name := range names {
			if fault.Exit(err) != 3 || !strings.Contains(err.Error(), "looking for "+name) {
				t.Errorf("%s does not say that %s is missing: %v", backend, name, err)
			}
		}
	}
}

func TestHowEnginesAreOpened(t *testing.T) {
	on := equipped(t)
	for _, backend := range []string{TensorRT, CUDA} {
		of, err := Canonical(backend, map[string]string{"tf32": "1"})
		if err != nil {
			t.Fatal(err)
		}
		m := &engine.Manifest{Backend: backend, Inputs: engine.Inputs(engine.Request{Options: of}, "")}
		c, p, err := Client(t.Context(), on, m, Options{}, []string{"NVIDIA_TF32_OVERRIDE=0", "ORT_TENSORRT_FP16_ENABLE=1"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{TensorRT: ort.TensorRT, CUDA: ort.CUDA}[backend]; p.Name != want || strings.Join(c.Env, " ") != "ORT_TENSORRT_FP16_ENABLE= NVIDIA_TF32_OVERRIDE=1" {
			t.Errorf("%s: %+v with %v", backend, p, c.Env)
		}
	}
	if _, _, err := Client(t.Context(), on, &engine.Manifest{Backend: Trtexec}, Options{}, nil, nil); fault.Exit(err) != 2 {
		t.Errorf("a plan in ONNX Runtime: %v", err)
	}
	if _, err := Canonical(Trtexec, map[string]string{"level": "3"}); fault.Exit(err) != 2 {
		t.Errorf("an option of trtexec: %v", err)
	}
}
