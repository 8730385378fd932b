package runtimes_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/testenv"
)

func TestLibraryVersionWithoutLoading(t *testing.T) {
	library := testenv.ORT(t)
	got, err := runtimes.LibraryVersion(library)
	if err != nil || got == "" || !strings.HasSuffix(library, "."+got) {
		t.Errorf("version of %s = %q, %v", library, got, err)
	}
}

func TestLibraryVersionOfSomethingElse(t *testing.T) {
	for _, lib := range runtimes.FindShared("c", runtimes.LibraryDirs()) {
		if _, err := runtimes.LibraryVersion(lib.Path); err == nil {
			t.Errorf("%s passes for ONNX Runtime", lib.Path)
		}
	}
	if _, err := runtimes.LibraryVersion(filepath.Join(t.TempDir(), "none.so")); err == nil {
		t.Error("a file that is not there passes")
	}
}

func TestFindShared(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(one, "libx.so.10.9.0"), filepath.Join(two, "libx.so.8"), filepath.Join(two, "libxyz.so.1"), filepath.Join(two, "libx.so")} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("libx.so.10.9.0", filepath.Join(one, "libx.so.10")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, lib := range runtimes.FindShared("x", []string{one, two}) {
		got = append(got, lib.Version+"/"+lib.Major())
	}
	if text := strings.Join(got, " "); text != "10.9.0/10 / 8/8" {
		t.Errorf("found %q", text)
	}
}

// TestTRTThatTheUserNames is remembered until it is forgotten, and one that ONNX
// Runtime cannot load is refused by its major version.
func TestTRTThatTheUserNames(t *testing.T) {
	t.Setenv("TRTFORGE_HOME", t.TempDir())
	fill := func(names ...string) string {
		dir := filepath.Join(t.TempDir(), "lib")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	eleven := fill("libnvinfer.so.11.1.0", "libnvonnxparser.so.11.1.0")
	if _, err := runtimes.UseTRT(eleven); fault.Exit(err) != 3 || !strings.Contains(err.Error(), "of major version 11") {
		t.Errorf("TensorRT 11: %v", err)
	}
	if _, err := runtimes.UseTRT(filepath.Join(eleven, "none")); fault.Exit(err) != 2 {
		t.Errorf("no directory: %v", err)
	}
	ten := fill("libnvinfer.so.10", "libnvonnxparser.so.10")
	// As pip lays it out: the version stands beside the libraries.
	if err := os.Mkdir(filepath.Join(filepath.Dir(ten), "tensorrt_cu13_libs-10.13.3.9.dist-info"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := runtimes.UseTRT(ten); err != nil {
		t.Fatal(err)
	}
	r, err := runtimes.FindTRT()
	if err != nil || filepath.Dir(r.Library) != ten || r.Versions["libnvinfer"] != "10.13.3.9" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := runtimes.Forget("trt"); err != nil {
		t.Fatal(err)
	}
	if r, err := runtimes.FindTRT(); err == nil && filepath.Dir(r.Library) == ten {
		t.Error("it is still used")
	}
}

func TestTRTIsFoundByLibraryPathOrSaysWhatToRun(t *testing.T) {
	t.Setenv("TRTFORGE_HOME", t.TempDir())
	dir := t.TempDir()
	t.Setenv("LD_LIBRARY_PATH", dir)
	if len(runtimes.FindShared("nvinfer", runtimes.LibraryDirs())) > 0 {
		t.Skip("this machine has a TensorRT of its own")
	}
	if _, err := runtimes.FindTRT(); fault.Exit(err) != 3 {
		t.Errorf("exit %d, %v; want 3", fault.Exit(err), err)
	}
	for i, name := range []string{"libnvinfer.so.10.9.0", "libnvonnxparser.so.10.9.0"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := runtimes.FindTRT()
		if found := err == nil; found != (i == 1) {
			t.Errorf("with %d of 2 libraries: %+v, %v", i+1, r, err)
		}
	}
}
