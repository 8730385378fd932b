// Package testenv finds, for tests, what a bare clone does not have: installed
// runtimes and data. What is missing skips the test and names itself and its
// remedy; what TRTFORGE_REQUIRE lists (ort, rtx, reference, oracle, oracle-trt,
// oracle-modelopt, data, separated by commas; `make test` sets it) fails the test
// instead, so that a continuous-integration run cannot pass by skipping.
//
// It installs nothing and is imported by tests only.
package testenv

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/runtimes"
)

// ORT is the path of an installed libonnxruntime.
func ORT(t testing.TB) string {
	t.Helper()
	return find(t, "ort").Library
}

// Python is the interpreter of the runtime "rtx", "reference", "oracle" (the
// reference with onnx, onnxruntime, scipy and statsmodels), "oracle-trt" (the parsers of other
// tools) or "oracle-modelopt" (NVIDIA's quantization).
func Python(t testing.TB, runtime string) string {
	t.Helper()
	return find(t, runtime).Python
}

func find(t testing.TB, name string) runtimes.Runtime {
	t.Helper()
	r, ok := runtimes.Find(name)
	if !ok {
		Lacking(t, name, "runtime "+name+" is not installed: run `trtforge setup "+name+"`, or `make test`")
	}
	return r
}

// Lacking skips the test for the reason given, or fails it if TRTFORGE_REQUIRE
// lists name.
func Lacking(t testing.TB, name, reason string) {
	t.Helper()
	if slices.Contains(strings.Split(os.Getenv("TRTFORGE_REQUIRE"), ","), name) {
		t.Fatalf("TRTFORGE_REQUIRE=%s: %s", os.Getenv("TRTFORGE_REQUIRE"), reason)
	}
	t.Skip(reason)
}

// Data is a file or directory of the data that the issues name ("wikitext-2",
// "tr118/study.json"): below TRTFORGE_DATA, or below shared/data beside the
// module's root.
func Data(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("TRTFORGE_DATA")
	if dir == "" {
		dir = filepath.Join(Root(t), "..", "shared", "data")
	}
	path := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		Lacking(t, "data", "data "+name+" is not here: set TRTFORGE_DATA to the directory that holds it")
	}
	return path
}

// WikiText is the directory of WikiText-2's raw splits.
func WikiText(t testing.TB) string {
	t.Helper()
	return Data(t, "wikitext-2")
}

// Root is the directory of the module that the test is in.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = parent
	}
}
