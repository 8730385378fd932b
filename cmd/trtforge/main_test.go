package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/testenv"
)

// TestMain makes this binary the trtforge command too, so that scripts run the
// real main, and its children, which are started by the executable's path, are
// the same program.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"trtforge": main})
}

// TestScript runs testdata/script/*.txtar: the command line as users see it.
// Beside testscript's commands a script has these:
//
//	status N COMMAND...           runs it and demands that exit status
//	limited KIB N COMMAND...      the same where no file may grow beyond KIB
//	signal NAME FILE N COMMAND... the same, sending the signal once FILE exists
//	tiny DIR                      a pipeline of a two-layer model on real text
//	bundle DIR                    a reference for it: all tokens are equally likely
//	break KIND DIR                spoils a checkpoint, see breakages
//	text PART FILE                writes the demo's text to calibrate or evaluate
//	edit FILE OLD NEW             replaces text that must be there
//	document                      demands one JSON object on standard output
//	tidy DIR...                   demands that no half-written file lies below
//	absent PATTERN...             demands that nothing matches
//
// The condition [ort], [rtx] or [reference] holds where the runtime is
// installed; TRTFORGE_REQUIRE makes its absence a failure. [gpu] holds where
// there is an NVIDIA driver.
func TestScript(t *testing.T) {
	home, err := runtimesHome()
	if err != nil {
		t.Fatal(err)
	}
	root := testenv.Root(t)
	text := testenv.DemoText(t, "evaluate")
	testscript.Run(t, testscript.Params{
		Dir:             filepath.Join("testdata", "script"),
		ContinueOnError: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TRTFORGE_HOME", home)
			e.Setenv("TRTFORGE_STORE", filepath.Join(e.WorkDir, "engines"))
			e.Setenv("DEMO", filepath.Join(root, "examples", "demo"))
			e.Setenv("FORMATS", filepath.Join(root, "docs", "formats"))
			e.Setenv("SIDECARS", filepath.Join(root, "profiles", "sidecar", "testdata"))
			e.Setenv("EXPORTS", filepath.Join(root, "contract", "testdata"))
			e.Setenv("PLAYED", filepath.Join(root, "internal", "jobs", "testdata", "gpu"))
			if r, ok := runtimes.Find("oracle-trt"); ok {
				e.Setenv("PLAYER", r.Python)
			}
			for _, name := range []string{"TRTFORGE_ORT_LIBRARY", "TRTFORGE_RTX_PYTHON", "TRTFORGE_REFERENCE_PYTHON"} {
				e.Setenv(name, os.Getenv(name))
			}
			return nil
		},
		Condition: func(name string) (bool, error) { return installed(name) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":  status,
			"limited": limited,
			"signal":  signalled,
			"tiny": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(writeTiny(ts.MkAbs(args[0]), filepath.Join(root, "examples", "demo", "model"), text))
			},
			"bundle": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(writeBundle(ts.MkAbs(args[0]))) },
			"break":  func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(spoil(args[0], ts.MkAbs(args[1]))) },
			"text": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[1]), testenv.DemoText(t, args[0]), 0o600))
			},
			"edit": edit,
			"document": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &map[string]any{}))
			},
			"tidy":   tidy,
			"absent": absent,
		},
	})
}

// runtimesHome is where this machine's runtimes are, which scripts with a HOME
// of their own would not find.
func runtimesHome() (string, error) {
	if home := os.Getenv("TRTFORGE_HOME"); home != "" {
		return home, nil
	}
	cache, err := os.UserCacheDir()
	return filepath.Join(cache, "trtforge"), err
}

// installed is the condition of that name.
func installed(name string) (bool, error) {
	if name == "gpu" {
		_, err := os.Stat("/proc/driver/nvidia")
		return err == nil, nil
	}
	if !slices.Contains(runtimes.Names(), name) {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	if _, ok := runtimes.Find(name); ok {
		return true, nil
	}
	if slices.Contains(strings.Split(os.Getenv("TRTFORGE_REQUIRE"), ","), name) {
		return false, fmt.Errorf("TRTFORGE_REQUIRE: runtime %s is not installed: run `trtforge setup %s`", name, name)
	}
	return false, nil
}

// status runs a command and demands an exit status.
func status(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	expect(ts, want, ts.Exec(args[1], args[2:]...))
}

// limited does so under a limit on the size of files, which a full disk or a
// quota looks like from inside: writes fail.
func limited(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	script := `ulimit -f "$1"; shift; exec "$@"`
	expect(ts, want, ts.Exec("bash", append([]string{"-c", script, "bash", args[0]}, args[2:]...)...))
}

func expect(ts *testscript.TestScript, want int, err error) {
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("not run: %v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// signalled runs a command in the background and signals it once a file is
// there. Its output is in the files signal.out and signal.err.
func signalled(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	number := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}[args[0]]
	c := exec.Command(args[3], args[4:]...)
	c.Dir, c.Env = ts.Getenv("WORK"), []string{"PATH=" + os.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TRTFORGE_HOME=" + ts.Getenv("TRTFORGE_HOME"), "TRTFORGE_STORE=" + ts.Getenv("TRTFORGE_STORE")}
	for _, to := range []struct {
		name string
		set  func(*os.File)
	}{{"signal.out", func(f *os.File) { c.Stdout = f }}, {"signal.err", func(f *os.File) { c.Stderr = f }}} {
		f, err := os.Create(ts.MkAbs(to.name))
		ts.Check(err)
		defer func() { _ = f.Close() }()
		to.set(f)
	}
	ts.Check(c.Start())
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if found, _ := filepath.Glob(ts.MkAbs(args[1])); len(found) > 0 {
			break
		}
		if time.Now().After(deadline) {
			_ = c.Process.Kill()
			ts.Fatalf("%s did not appear", args[1])
		}
	}
	ts.Check(c.Process.Signal(number))
	expect(ts, want, c.Wait())
}

// edit replaces the first occurrence of a text in a file by lines.
func edit(ts *testscript.TestScript, _ bool, args []string) {
	before := ts.ReadFile(args[0])
	if !strings.Contains(before, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(before, args[1], strings.Join(args[2:], "\n"), 1)), 0o644))
}

// tidy demands that a command which failed left nothing half-written.
func tidy(ts *testscript.TestScript, _ bool, args []string) {
	for _, dir := range args {
		err := filepath.WalkDir(ts.MkAbs(dir), func(path string, _ os.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(filepath.Base(path), fsx.TempPrefix) {
				return fmt.Errorf("half-written: %s", path)
			}
			return err
		})
		if !errors.Is(err, os.ErrNotExist) {
			ts.Check(err)
		}
	}
}

func absent(ts *testscript.TestScript, _ bool, args []string) {
	for _, pattern := range args {
		found, err := filepath.Glob(ts.MkAbs(pattern))
		ts.Check(err)
		if len(found) > 0 {
			ts.Fatalf("left behind: %v", found)
		}
	}
}
