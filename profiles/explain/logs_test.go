package explain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Logs of runs that went well, most of them real, give no error and nothing
// unknown. Warnings that are benign may be named.
func TestHealthyLogs(t *testing.T) {
	paths, err := filepath.Glob("testdata/healthy/*.log")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d logs, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := explainFile(t, path)
			if r.Failed() || r.Root() != nil {
				t.Errorf("root %+v, unknown %v", r.Root(), r.Unknown)
			}
			for _, f := range r.Findings {
				t.Logf("%s %s", f.Severity, f.ID)
			}
		})
	}
}

func explainFile(t *testing.T, path string) *Report {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := Read(f, Context{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Logs with several errors are reduced to one. The first line of each names the
// root that is expected.
func TestMixedLogs(t *testing.T) {
	paths, err := filepath.Glob("testdata/mixed/*.log")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d logs, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, _, _ := strings.Cut(strings.TrimPrefix(string(b), "# root: "), "\n")
			r := explainFile(t, path)
			var roots []string
			for _, f := range r.Roots() {
				roots = append(roots, f.ID)
			}
			if strings.Join(roots, " ") != want || len(r.Unknown) > 0 {
				t.Errorf("roots %v, want %s; unknown %v", roots, want, r.Unknown)
			}
			n := 0
			for _, f := range r.Findings {
				if f.Follows != "" {
					n++
				}
			}
			if n == 0 {
				t.Error("nothing follows from it: this is no cascade")
			}
		})
	}
}
