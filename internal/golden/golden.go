// Package golden holds what a test writes to the file that somebody has looked at.
//
//	golden.Check(t, "testdata/report.txt", text)
//
// go test -update writes the files anew; look at what git then says has changed.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Update is whether golden files are written and not read.
var Update = flag.Bool("update", false, "write the golden files anew")

// Check fails the test where got is not what the file at path holds.
func Check[T ~string | ~[]byte](t testing.TB, path string, got T) {
	t.Helper()
	if *Update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs from what was written (go test -update after a look at it) (-golden +written):\n%s", path, d)
	}
}
