package fsx

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

func TestWriteFileIsWholeOrAbsent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := WriteFile(path, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("a writer that failed left %q", b)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), TempPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWriteDirReplacesAndSweeps(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "d")
	for _, name := range []string{"a", "b"} {
		if err := WriteDir(dir, func(tmp string) error {
			return os.WriteFile(filepath.Join(tmp, name), nil, 0o644)
		}); err != nil {
			t.Fatal(err)
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 || entries[0].Name() != "b" {
		t.Errorf("after two writes: %v", entries)
	}
	if err := os.Mkdir(filepath.Join(parent, TempPrefix+"d-killed"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Sweep(parent); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(parent); len(entries) != 1 {
		t.Errorf("after the sweep: %v", entries)
	}
}

func TestExplainClasses(t *testing.T) {
	for err, want := range map[error]fault.Code{
		os.ErrNotExist: fault.Input, os.ErrPermission: fault.Input, syscall.ENOSPC: fault.Runtime,
	} {
		var f *fault.Error
		if !errors.As(Explain("reading", "x", err), &f) || f.Code != want || f.Fix == "" {
			t.Errorf("%v: %+v", err, f)
		}
	}
	if err := Explain("writing", "x", os.ErrPermission); fault.Classify(err) != fault.Runtime {
		t.Errorf("writing what may not be written: %v", err)
	}
	for doing, want := range map[string]fault.Code{"creating": fault.Runtime, "creating a directory in": fault.Runtime, "reading": fault.Input} {
		var f *fault.Error
		if !errors.As(Explain(doing, "x", syscall.ENOTDIR), &f) || f.Code != want || f.Fix == "" {
			t.Errorf("%s below a file: %+v", doing, f)
		}
	}
	known := fault.New(fault.Gate, "", "", "x", "")
	if !errors.Is(Explain("reading", "x", known), known) {
		t.Error("a class that was known was replaced")
	}
}

func TestErrorsHaveNoTemporaryNames(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "nowhere", "f")} {
		err := WriteFile(path, func(io.Writer) error { return nil })
		if err == nil || strings.Contains(err.Error(), TempPrefix) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
