package doctor

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/internal/runtimes"
)

// bare is a machine that has nothing.
func bare(t *testing.T) Machine {
	t.Helper()
	return Machine{
		Version: "1.0.0", Path: "/opt/trtforge", Cgo: true, Glibc: "2.36",
		Platform: func() error { return nil },
		Find:     func(string) (runtimes.Runtime, bool) { return runtimes.Runtime{}, false },
		LookPath: func(string) (string, error) { return "", os.ErrNotExist },
		GPUs: func() (string, []GPU, error) {
			return "", nil, errors.New("libnvidia-ml.so.1 is not here: no NVIDIA driver")
		},
		Home:     func() (string, error) { return "/srv/cache/trtforge", nil },
		Free:     func(string) (int64, error) { return 5_000_000_000, nil },
		Features: map[string]bool{"avx2": true},
		CPUs:     8, Threads: 2, Memory: 2_000_000_000,
		Environ: []string{"HOME=/srv", "NVIDIA_TF32_OVERRIDE=0", "ORT_TENSORRT_FP16_ENABLE=1"},
	}
}

func TestReportOfABareMachine(t *testing.T) {
	var got bytes.Buffer
	if err := Examine(t.Context(), bare(t)).Write(&got); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "bare.golden"), got.Bytes())
}

func TestNeed(t *testing.T) {
	report := Examine(t.Context(), bare(t))
	tests := []struct {
		need   []string
		status int
		says   []string
	}{
		{nil, 0, nil},
		{[]string{"ort"}, 3, []string{"ONNX Runtime is not on this machine"}},
		{[]string{"gpu", "trtexec"}, 3, []string{"NVIDIA GPU", "trtexec"}},
		{[]string{"coffee", "gpu"}, 2, []string{"coffee"}},
		{[]string{"disk"}, 2, []string{"disk"}}, // a check, but not something to need
	}
	for _, tt := range tests {
		err := report.Need(tt.need)
		if got := fault.Exit(err); got != tt.status {
			t.Errorf("Need(%v) exits %d (%v), want %d", tt.need, got, err, tt.status)
		}
		for _, text := range tt.says {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("Need(%v) = %v, want it to say %q", tt.need, err, text)
			}
		}
	}
}

func TestEveryNeedIsACheckWithAFix(t *testing.T) {
	fixes := map[string]string{}
	for _, p := range probes() {
		if _, twice := fixes[p.id]; twice {
			t.Errorf("two checks are called %s", p.id)
		}
		fixes[p.id] = p.fix
	}
	for _, name := range Needs() {
		if fixes[name] == "" {
			t.Errorf("%s can be needed but says not how to get it", name)
		}
	}
}

func TestEquippedMachine(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"libcuda.so.570.1", "libnvinfer.so.10.9.0", "libnvinfer.so.8.6.1", "libnvonnxparser.so.10.9.0"} {
		touch(t, filepath.Join(dir, name))
	}
	m := bare(t)
	m.LibDirs, m.TRTDirs = []string{dir}, []string{dir}
	m.Find = func(name string) (runtimes.Runtime, bool) {
		return runtimes.Runtime{Name: name, Versions: map[string]string{"onnxruntime-gpu": "1.31.1"}}, name == "trt"
	}
	m.LookPath = func(name string) (string, error) { return "/usr/bin/" + name, nil }
	m.GPUs = func() (string, []GPU, error) {
		return "570.1", []GPU{{Name: "NVIDIA H100", Compute: "9.0", MemoryBytes: 80e9, Driver: "570.1", CUDA: "12.8"}}, nil
	}
	m.Features = map[string]bool{"avx2": true, "avx512_vnni": true}
	report := Examine(t.Context(), m)
	if err := report.Need([]string{"cuda", "gpu", "trt", "ort-gpu", "trtexec"}); err != nil {
		t.Error(err)
	}
	want := map[string]string{"cuda": "570.1", "gpu": "NVIDIA H100", "trt": "10.9.0", "int8": "avx512_vnni"}
	for _, c := range report.Checks {
		if v, ok := want[c.ID]; ok && c.Version != v {
			t.Errorf("%s has version %q, want %q", c.ID, c.Version, v)
		}
		if c.ID == "trt" && len(c.Detail) != 4 {
			t.Errorf("trt found %v, want both majors", c.Detail)
		}
	}
}

// What is needed of TensorRT is all of it, of the major version that is loaded, and a
// driver that answers.
func TestHalfOfWhatAGPUBackendNeeds(t *testing.T) {
	for name, c := range map[string]struct {
		libraries []string
		build     bool
		says      string
	}{
		"another major":  {[]string{"libnvinfer.so.11.1.0", "libnvonnxparser.so.11.1.0"}, true, "none of major 10"},
		"no parser":      {[]string{"libnvinfer.so.10.9.0"}, true, "no libnvonnxparser.so"},
		"no GPU build":   {[]string{"libnvinfer.so.10.9.0", "libnvonnxparser.so.10.9.0"}, false, "GPU build of ONNX Runtime is not installed"},
		"nothing at all": {nil, false, "no libnvinfer.so"},
	} {
		m := bare(t)
		m.TRTDirs = []string{t.TempDir()}
		m.Find = func(name string) (runtimes.Runtime, bool) { return runtimes.Runtime{}, c.build && name == "trt" }
		for _, lib := range c.libraries {
			touch(t, filepath.Join(m.TRTDirs[0], lib))
		}
		err := Require(t.Context(), m, "trt")
		if fault.Exit(err) != 3 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: exit %d, %v", name, fault.Exit(err), err)
		}
	}
	m := bare(t)
	m.LibDirs = []string{t.TempDir()}
	touch(t, filepath.Join(m.LibDirs[0], "libcuda.so.1"))
	if err := Require(t.Context(), m, "cuda", "gpu"); fault.Exit(err) != 3 || !strings.Contains(err.Error(), "the driver does not answer") {
		t.Errorf("a library without a driver: %v", err)
	}
}

func TestADriverThatHangsCostsASecond(t *testing.T) {
	m := bare(t)
	m.GPUs = func() (string, []GPU, error) { <-t.Context().Done(); return "", nil, nil }
	start := time.Now()
	f := lookGPU(t.Context(), m)
	if took := time.Since(start); f.found || took > 1500*time.Millisecond {
		t.Errorf("found = %v after %v, want nothing after a second", f.found, took)
	}
}

func TestProviders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"libonnxruntime.so.1.32.0", "libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"} {
		touch(t, filepath.Join(dir, name))
	}
	got := strings.Join(providers(filepath.Join(dir, "libonnxruntime.so.1.32.0"), nil), "\n")
	if !strings.Contains(got, "provider CPU: built in") || !strings.Contains(got, "provider cuda: lacks a readable file") || strings.Contains(got, "shared") {
		t.Errorf("providers = %s", got)
	}
	// A real library of this machine: all that it needs is found, and with no
	// directory to look in nothing is.
	for _, lib := range runtimes.FindShared("m", runtimes.LibraryDirs()) {
		if lacking := unresolved(lib.Path, runtimes.LibraryDirs()); len(lacking) != 0 && strings.HasSuffix(lib.Path, ".so.6") {
			t.Errorf("%s lacks %v", lib.Path, lacking)
		}
		if strings.HasSuffix(lib.Path, ".so.6") && len(unresolved(lib.Path, nil)) == 0 {
			t.Errorf("%s needs nothing, not even libc", lib.Path)
		}
	}
}

// How long it takes is a figure of `make bench B=exit3`.
func TestThisMachine(t *testing.T) {
	report := Examine(t.Context(), ThisMachine("test"))
	if len(report.Checks) != len(probes()) {
		t.Errorf("%d checks of %d", len(report.Checks), len(probes()))
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}
