package runtimes

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tiny is a runtime of one pure-Python wheel, made on the spot: everything real
// but the size.
var tiny = Spec{Name: "tiny", What: "a test's own wheel", Licence: "none", asked: []string{"tiny"},
	probe: importing("tiny"), override: "TRTFORGE_TINY_PYTHON"}

// wheelhouse writes tiny's wheel into a new directory and gives that and the lock.
func wheelhouse(t *testing.T) (dir string, lock Lock) {
	t.Helper()
	dir = t.TempDir()
	wheel := zipped(t, map[string]string{
		"tiny/__init__.py":            "__version__ = '1.0'\n",
		"tiny-1.0.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
		"tiny-1.0.dist-info/RECORD":   "tiny/__init__.py,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/RECORD,,\n",
	})
	if err := os.WriteFile(filepath.Join(dir, "tiny-1.0-py3-none-any.whl"), wheel, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(wheel)
	lock, err := parseLock(fmt.Sprintf("# download_bytes: 1000\n# installed_bytes: 1000\n# none\ntiny==1.0 \\\n    --hash=sha256:%s\n", hex.EncodeToString(sum[:])))
	if err != nil {
		t.Fatal(err)
	}
	return dir, lock
}

func zipped(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// needPython skips a test that installs for real where no Python could.
func needPython(t *testing.T) {
	t.Helper()
	if _, err := findPython(t.Context()); err != nil {
		t.Skipf("no Python to install with: %v", err)
	}
}

// fakePython is an interpreter that describes itself as a good Python and then,
// asked for anything else, runs a line of shell.
func fakePython(t *testing.T, then string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python3")
	text := `#!/bin/sh
case "$*" in
*find_spec*) echo '{"path":"` + path + `","version":[3,11,9],"venv":true,"pip":"/nowhere","site":""}' ;;
*) ` + then + ` ;;
esac
`
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// readPID waits for a process that writes its number into a file.
func readPID(t *testing.T, file string) int {
	t.Helper()
	for range 200 {
		if text, err := os.ReadFile(file); err == nil && strings.HasSuffix(string(text), "\n") {
			var pid int
			if _, err := fmt.Sscan(string(text), &pid); err != nil {
				t.Fatal(err)
			}
			return pid
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the installer never got to its child")
	return 0
}

// gone waits until a process is no more; a zombie counts as gone.
func gone(t *testing.T, pid int) {
	t.Helper()
	for range 60 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d outlived its installer", pid)
}

// TestMain lets this test's binary be an installer in a process of its own.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TRTFORGE_TEST_DIR"); dir != "" {
		os.Exit(installTiny(dir))
	}
	os.Exit(m.Run())
}

func installTiny(dir string) int {
	lock, err := parseLock(os.Getenv("TRTFORGE_TEST_LOCK"))
	if err == nil {
		_, err = ensureAt(context.Background(), tiny, lock, dir,
			Options{Out: os.Stdout, FindLinks: []string{os.Getenv("TRTFORGE_TEST_WHEELS")}, Offline: true}.withDefaults())
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}
