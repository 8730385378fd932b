package runtimes

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// alone gives a test an empty home and none of the variables that override.
func alone(t *testing.T) {
	t.Helper()
	t.Setenv("TRTFORGE_HOME", t.TempDir())
	for _, s := range Specs() {
		t.Setenv(s.override, "")
	}
}

func TestEnvironmentNamesARuntime(t *testing.T) {
	alone(t)
	if _, ok := Find("ort"); ok {
		t.Fatal("found in an empty home")
	}
	file := filepath.Join(t.TempDir(), "libonnxruntime.so")
	t.Setenv("TRTFORGE_ORT_LIBRARY", file)
	if _, ok := Find("ort"); ok {
		t.Error("a file that is not there was found")
	}
	_, err := Ensure(t.Context(), "ort", Options{})
	if fault.Exit(err) != 3 || !strings.Contains(err.Error(), "TRTFORGE_ORT_LIBRARY") {
		t.Errorf("exit %d, %v; want 3 and the variable, not an installation", fault.Exit(err), err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if r, ok := Find("ort"); !ok || r.Library != file || r.Brought != "TRTFORGE_ORT_LIBRARY" {
		t.Errorf("found %+v", r)
	}
}

// A fake interpreter, since a unit test has no torch: it says what a real one
// with another torch would.
func TestAdoptedPythonIsRememberedWithAFakePython(t *testing.T) {
	alone(t)
	python := filepath.Join(t.TempDir(), "python")
	script := "#!/bin/sh\necho '{\"versions\": {\"torch\": \"2.14.0+cpu\", \"transformers\": \"5.23.0\"}, \"site\": \"/s\"}'\n"
	if err := os.WriteFile(python, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	if _, err := Ensure(t.Context(), "reference", Options{Python: python, Out: &said}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "torch is 2.14.0+cpu, trtforge is tested with 2.15.0") || strings.Contains(said.String(), "transformers") {
		t.Errorf("it said %q", said.String())
	}
	if r, ok := Find("reference"); !ok || r.Python != python || r.Site != "/s" || r.Brought != "--python" {
		t.Errorf("found %+v", r)
	}
	// Once its file is gone that is an error, not a reason to install 5 GB.
	if err := os.Remove(python); err != nil {
		t.Fatal(err)
	}
	_, err := Ensure(t.Context(), "reference", Options{})
	if fault.Exit(err) != 3 {
		t.Errorf("exit %d, %v; want 3", fault.Exit(err), err)
	}
	if err := Forget("reference"); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := brought(Specs()[2]); ok || err != nil {
		t.Errorf("after Forget: %v, %v", ok, err)
	}
}

func TestWhatCannotBeAdopted(t *testing.T) {
	alone(t)
	text := filepath.Join(t.TempDir(), "libonnxruntime.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, runtime string
		o             Options
		status        int
	}{
		{"a Python for a library", "ort", Options{Python: "python3"}, 2},
		{"a library for a Python", "rtx", Options{Library: text}, 2},
		{"not a library", "ort", Options{Library: text}, 2},
		{"no such file", "ort", Options{Library: text + ".1"}, 2},
		{"no such interpreter", "reference", Options{Python: "no-such-python"}, 2},
		{"a directory", "ort", Options{Library: filepath.Dir(text)}, 2},
		{"an unknown runtime", "coffee", Options{Library: text}, 2},
	}
	for _, tt := range tests {
		if _, err := Ensure(t.Context(), tt.runtime, tt.o); fault.Exit(err) != tt.status {
			t.Errorf("%s: exit %d, %v; want %d", tt.name, fault.Exit(err), err, tt.status)
		}
	}
}

func TestInterpreterWithoutTheModulesIsRefused(t *testing.T) {
	alone(t)
	needPython(t)
	python, err := exec.LookPath("true") // an interpreter that says nothing
	if err != nil {
		t.Skip("no program called true")
	}
	if _, err := Ensure(t.Context(), "rtx", Options{Python: python}); fault.Exit(err) != 5 {
		t.Errorf("exit %d, %v; want 5", fault.Exit(err), err)
	}
	if _, ok := Find("rtx"); ok {
		t.Error("it was remembered all the same")
	}
}

func TestCorruptOverridesAreInput(t *testing.T) {
	for name, text := range map[string]string{"corrupt": `{"runtimes": [`, "newer": `{"schema_version": 2}`} {
		alone(t)
		path, err := overridePath()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Ensure(t.Context(), "ort", Options{}); fault.Exit(err) != 4 {
			t.Errorf("%s: exit %d, %v; want 4", name, fault.Exit(err), err)
		}
	}
}

// A build of another index is remembered by its directory, so half of one must
// not pass either.
func TestRememberedBuildMustBeWhole(t *testing.T) {
	alone(t)
	dir := t.TempDir()
	python := filepath.Join(dir, "python")
	if err := os.WriteFile(python, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	r := Runtime{Name: "reference", Dir: dir, Python: python, Brought: "--index-url"}
	if err := editOverrides(func(m map[string]Runtime) { m["reference"] = r }); err != nil {
		t.Fatal(err)
	}
	if _, ok := Find("reference"); ok {
		t.Error("found without its .complete")
	}
	if err := complete(dir, r, ""); err != nil {
		t.Fatal(err)
	}
	if _, ok := Find("reference"); !ok {
		t.Error("not found with its .complete")
	}
}
