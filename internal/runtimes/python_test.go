package runtimes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

// script writes an executable of the given name and shell text into dir.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func describing(version, venv, pip string) string {
	return `echo '{"path":"/p","version":[` + version + `],"venv":` + venv + `,"pip":"` + pip + `","site":"/s"}'`
}

func TestFindPythonAmongFakePythons(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		minor int      // of the one found; 0 = none
		says  []string // why none was
	}{
		{"none", nil, 0, []string{"none on the PATH"}},
		{"the default", map[string]string{"python3": describing("3,11,2", "true", "/l")}, 11, nil},
		{"a default too old", map[string]string{"python3": describing("3,9,2", "true", "/l"), "python3.12": describing("3,12,1", "true", "/l")}, 12, nil},
		{"a shim that runs nothing", map[string]string{"python3": describing("3,14,0", "true", "/l"), "python3.13": "exit 127", "python3.11": describing("3,11,0", "true", "/l")}, 11, nil},
		{"all unfit", map[string]string{"python3": describing("3,10,1", "true", "/l"), "python3.11": describing("3,11,1", "false", "/l"), "python3.12": describing("3,12,1", "true", "")},
			0, []string{"python3: is Python 3.10", "python3.11: has no venv", "python3.12: has no pip"}},
		{"nonsense", map[string]string{"python3": "echo hello"}, 0, []string{"does not say its version"}},
	}
	for _, tt := range tests {
		dir := t.TempDir()
		for name, text := range tt.files {
			script(t, dir, name, text)
		}
		t.Setenv("PATH", dir)
		t.Setenv("TRTFORGE_PYTHON", "")
		py, err := findPython(t.Context())
		if tt.minor > 0 && (err != nil || py.Version[1] != tt.minor) {
			t.Errorf("%s: found %v, %v; want 3.%d", tt.name, py, err, tt.minor)
		}
		if tt.minor == 0 && fault.Exit(err) != 3 {
			t.Errorf("%s: exit %d, %v; want 3", tt.name, fault.Exit(err), err)
		}
		for _, text := range tt.says {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v; want it to say %q", tt.name, err, text)
			}
		}
	}
}

func TestNamedPythonIsTheOnlyOneTried(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "python3", describing("3,12,0", "true", "/l"))
	t.Setenv("PATH", dir)
	t.Setenv("TRTFORGE_PYTHON", filepath.Join(dir, "mine"))
	if py, err := findPython(t.Context()); err == nil {
		t.Errorf("found %v although another was named", py)
	}
}

// What pip prints is made up here, since a unit test has no network to fail.
func TestPipFailuresByTheWordsOfAFakePip(t *testing.T) {
	tests := []struct {
		prints string
		status int
	}{
		{"ERROR: No matching distribution found for torch==2.15.0", 3},
		{"WARNING: Retrying after connection broken by 'NewConnectionError(...): Temporary failure in name resolution'", 3},
		{"ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", 4},
		{"ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", 5},
		{"Segmentation fault", 5},
	}
	j := job{spec: tiny, dir: "d", py: interpreter{Version: []int{3, 11}}}
	for _, tt := range tests {
		err := j.explain(t.Context(), &childError{err: errors.New("exit status 1"), tail: tt.prints})
		var f *fault.Error
		if fault.Exit(err) != tt.status || !errors.As(err, &f) || f.Fix == "" {
			t.Errorf("%q: exit %d, %v; want %d and a fix", tt.prints, fault.Exit(err), err, tt.status)
		}
	}
}

func TestInstallersDoNotInheritAnotherPrefix(t *testing.T) {
	t.Setenv("PIP_TARGET", "/elsewhere")
	t.Setenv("PYTHONPATH", "/elsewhere")
	t.Setenv("PIP_PROXY", "kept")
	out, err := process{path: "/bin/sh", args: []string{"-c", "echo $PIP_TARGET$PYTHONPATH$PIP_PROXY"}}.run(t.Context())
	if err != nil || strings.TrimSpace(out) != "kept" {
		t.Errorf("the child saw %q, %v", out, err)
	}
}

// notes keeps what a progress bar was told.
type notes struct {
	progress.Counter
	said []string
}

func (n *notes) Note(text string) { n.said = append(n.said, text) }

func TestPipLinesBecomeNotes(t *testing.T) {
	n := &notes{Counter: progress.Noop}
	j := job{o: Options{Progress: n}}
	for _, line := range []string{"Collecting torch==2.15.0 (from -r lock.txt (line 5))", "  Downloading torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl (883.3 MB)",
		"  Downloading", "", "Installing collected packages: torch", "Successfully installed torch-2.15.0"} {
		j.note(line)
	}
	if got, want := strings.Join(n.said, "|"), "downloading torch 883.3 MB|unpacking"; got != want {
		t.Errorf("notes %q, want %q", got, want)
	}
}
