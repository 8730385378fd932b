package runtimes

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/golden"
)

// documented holds a file that was just written to the example of docs/formats.md.
func documented(t *testing.T, written, name string) []byte {
	t.Helper()
	got, err := os.ReadFile(written)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("..", "..", "docs", "formats", name), got)
	return got
}

func TestRecordFormat(t *testing.T) {
	dir := t.TempDir()
	library := filepath.Join(dir, "lib", "libonnxruntime.so.1.32.0")
	if err := os.MkdirAll(filepath.Dir(library), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(library, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want := Runtime{Name: "ort", Dir: dir, Library: library, Versions: map[string]string{"onnxruntime": "1.32.0"}, Bytes: 34839312}
	if err := complete(dir, want, ""); err != nil {
		t.Fatal(err)
	}
	documented(t, filepath.Join(dir, completeFile), "runtime.json")
	spec, err := Lookup("ort")
	if err != nil {
		t.Fatal(err)
	}
	got, ok := installed(spec, dir)
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("read back %v (-want +got):\n%s", ok, diff)
	}
}

func TestOverridesFormat(t *testing.T) {
	home := t.TempDir()
	t.Setenv("TRTFORGE_HOME", home)
	mine := Runtime{Name: "reference", Python: "/opt/torch/bin/python", Versions: map[string]string{"torch": "2.15.0"}, Brought: "--python"}
	put := func(m map[string]Runtime) { m["reference"] = mine }
	if err := editOverrides(put); err != nil {
		t.Fatal(err)
	}
	path, err := overridePath()
	if err != nil {
		t.Fatal(err)
	}
	text := documented(t, path, "override.json")

	// An edit by this program keeps what a newer one put there.
	more := bytes.Replace(text, []byte(`"runtimes"`), []byte(`"from_the_future": [1], "runtimes"`), 1)
	if err := os.WriteFile(path, more, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := editOverrides(func(m map[string]Runtime) { delete(m, "reference") }); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(after, []byte("from_the_future")) || bytes.Contains(after, []byte("/opt/torch")) {
		t.Errorf("after an edit:\n%s", after)
	}
	for _, change := range [][2]string{{`"schema_version": 1`, `"schema_version": 2`}, {`"kind": "overrides"`, `"kind": "plan"`}} {
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), change[0], change[1], 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readOverrides(); fault.Exit(err) != 4 {
			t.Errorf("%s: %v, want exit status 4", change[1], err)
		}
	}
}
