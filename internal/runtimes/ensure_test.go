package runtimes

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
)

// installFrom is ensureAt offline from a wheelhouse, with what it said.
func installFrom(t *testing.T, wheels string, lock Lock, dir string) (Runtime, string, error) {
	t.Helper()
	var said bytes.Buffer
	r, err := ensureAt(t.Context(), tiny, lock, dir, Options{Out: &said, FindLinks: []string{wheels}, Offline: true}.withDefaults())
	return r, said.String(), err
}

func TestOfflineFromAWheelhouse(t *testing.T) {
	needPython(t)
	wheels, lock := wheelhouse(t)
	dir := filepath.Join(t.TempDir(), "tiny-1")
	r, said, err := installFrom(t, wheels, lock, dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Versions["tiny"] != "1.0" || r.Bytes == 0 {
		t.Errorf("installed %+v", r)
	}
	for _, text := range []string{"download 1 kB", "licence: none", "installed and loaded"} {
		if !strings.Contains(said, text) {
			t.Errorf("it said %q, not %q", said, text)
		}
	}
	if got, ok := installed(tiny, dir); !ok || got.Python != r.Python || got.Site != r.Site {
		t.Errorf("found %+v, want %+v", got, r)
	}
	for _, left := range []string{dir + "/tmp", dir + ".wheels"} {
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left", left)
		}
	}
	if _, said, err := installFrom(t, wheels, lock, dir); err != nil || said != "" {
		t.Errorf("again: said %q, %v; want silence", said, err)
	}
}

func TestWhatIsNotWholeIsDoneAgain(t *testing.T) {
	needPython(t)
	wheels, lock := wheelhouse(t)
	dir := filepath.Join(t.TempDir(), "tiny-1")
	if _, _, err := installFrom(t, wheels, lock, dir); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, completeFile))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"truncated":       string(good[:len(good)/2]),
		"empty":           "",
		"newer":           strings.Replace(string(good), `"schema_version": 1`, `"schema_version": 2`, 1),
		"another's":       strings.Replace(string(good), `"tiny"`, `"rtx"`, 1),
		"lost its Python": strings.Replace(string(good), "bin/python", "bin/snake", 1),
	}
	for name, text := range tests {
		if err := os.WriteFile(filepath.Join(dir, completeFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, ok := installed(tiny, dir); ok {
			t.Errorf("%s: taken for whole", name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "left-over"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := installFrom(t, wheels, lock, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "left-over")); err == nil {
		t.Error("the unfinished directory was not wiped")
	}
}

func TestFailuresLeaveNothingAndSayWhatToDo(t *testing.T) {
	needPython(t)
	wheels, lock := wheelhouse(t)
	other := lock
	other.Text = strings.Replace(lock.Text, "sha256:", "sha256:"+strings.Repeat("0", 64)+" #", 1)
	broken := tiny
	broken.probe = importing("tiny", "not_in_the_wheel")
	tests := []struct {
		name   string
		spec   Spec
		lock   Lock
		wheels string
		status int
		says   string
		fix    string
	}{
		{"no wheel anywhere", tiny, lock, t.TempDir(), 3, "tiny", "--print-lock"},
		{"no such wheelhouse", tiny, lock, filepath.Join(wheels, "nowhere"), 2, "no such directory", "--find-links"},
		{"a wheel of another hash", tiny, other, wheels, 4, "HASHES", "get it again"},
		{"a build that does not load", broken, lock, wheels, 5, "not_in_the_wheel", "does not work here"},
	}
	for _, tt := range tests {
		dir := filepath.Join(t.TempDir(), "tiny-1")
		_, err := ensureAt(t.Context(), tt.spec, tt.lock, dir, Options{FindLinks: []string{tt.wheels}, Offline: true}.withDefaults())
		var f *fault.Error
		if !errors.As(err, &f) || fault.Exit(err) != tt.status || !strings.Contains(err.Error(), tt.says) || !strings.Contains(f.Fix, tt.fix) {
			t.Errorf("%s: exit %d, %v; want %d, %q, and a fix with %q", tt.name, fault.Exit(err), err, tt.status, tt.says, tt.fix)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: left %s", tt.name, dir)
		}
	}
}

// installer is another process that installs tiny.
func installer(t *testing.T, wheels string, lock Lock, dir string, env ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "TRTFORGE_TEST_DIR="+dir, "TRTFORGE_TEST_LOCK="+lock.Text, "TRTFORGE_TEST_WHEELS="+wheels)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &said
}

func TestTwoProcessesAtOnce(t *testing.T) {
	needPython(t)
	wheels, lock := wheelhouse(t)
	dir := filepath.Join(t.TempDir(), "tiny-1")
	one, saidOne := installer(t, wheels, lock, dir)
	two, saidTwo := installer(t, wheels, lock, dir)
	if err := errors.Join(one.Wait(), two.Wait()); err != nil {
		t.Fatalf("%v\n%s\n%s", err, saidOne, saidTwo)
	}
	said := saidOne.String() + saidTwo.String()
	if strings.Count(said, "installed and loaded") != 1 || strings.Count(said, "waiting for it") != 1 {
		t.Errorf("want one to install and one to wait; they said\n%s", said)
	}
	if _, ok := installed(tiny, dir); !ok {
		t.Error("nothing is installed")
	}
}

// A real pip is too quick to be caught in the middle, so a fake Python stands
// still there.
func TestKilledInTheMiddleWithAFakePython(t *testing.T) {
	needPython(t)
	wheels, lock := wheelhouse(t)
	dir := filepath.Join(t.TempDir(), "tiny-1")
	pidFile := filepath.Join(t.TempDir(), "pid")
	fake := fakePython(t, "echo $$ > "+pidFile+"; exec sleep 600")
	cmd, _ := installer(t, wheels, lock, dir, "TRTFORGE_PYTHON="+fake)
	pid := readPID(t, pidFile)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says "killed"
	gone(t, pid)
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the kill came before the middle: %v", err)
	}
	if _, ok := installed(tiny, dir); ok {
		t.Fatal("half an installation was taken for whole")
	}
	if _, _, err := installFrom(t, wheels, lock, dir); err != nil {
		t.Errorf("after the kill: %v", err)
	}
}

func TestInterruptedWithAFakePython(t *testing.T) {
	wheels, lock := wheelhouse(t)
	dir := filepath.Join(t.TempDir(), "tiny-1")
	pidFile := filepath.Join(t.TempDir(), "pid")
	t.Setenv("TRTFORGE_PYTHON", fakePython(t, "echo $$ > "+pidFile+"; sleep 600"))
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := ensureAt(ctx, tiny, lock, dir, Options{FindLinks: []string{wheels}, Offline: true}.withDefaults())
		ended <- err
	}()
	pid := readPID(t, pidFile)
	cancel(fault.New(fault.Interrupt, "", "", "stopped", ""))
	select {
	case err := <-ended:
		if fault.Exit(err) != 130 {
			t.Errorf("exit %d: %v", fault.Exit(err), err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	gone(t, pid)
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left", dir)
	}
}

func TestWaitingEndsWhenInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.lock")
	unlock, err := acquireNow(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	_, err = acquire(ctx, path, cancel)
	if fault.Exit(err) != 130 {
		t.Errorf("exit %d: %v", fault.Exit(err), err)
	}
}

func TestLicenceMustBeAccepted(t *testing.T) {
	t.Setenv("TRTFORGE_HOME", t.TempDir())
	t.Setenv("TRTFORGE_ACCEPT_LICENCE", "")
	t.Setenv("TRTFORGE_RTX_PYTHON", "")
	_, err := Ensure(t.Context(), "rtx", Options{})
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.Usage {
		t.Fatalf("refused with %v, want a usage error", err)
	}
	for _, text := range []string{"--accept-licence", "TRTFORGE_ACCEPT_LICENCE=1", "NVIDIA Software License Agreement", "https://docs.nvidia.com"} {
		if !strings.Contains(err.Error()+f.Fix, text) {
			t.Errorf("%v (%s) does not say %q", err, f.Fix, text)
		}
	}
	spec, err := Lookup("rtx")
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckLicence(spec, Options{AcceptLicence: true}); err != nil {
		t.Errorf("accepted by option: %v", err)
	}
	t.Setenv("TRTFORGE_ACCEPT_LICENCE", "1")
	if err := CheckLicence(spec, Options{}); err != nil {
		t.Errorf("accepted by environment: %v", err)
	}
}
