//go:build cgo

package ort

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/testenv"
)

func client(t *testing.T, library string) *Client {
	t.Helper()
	c := &Client{Library: library}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestClient(t *testing.T) {
	c := client(t, testenv.ORT(t))
	out, err := c.CallTensors(t.Context(), "run", model(t), feeds(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, out[0], out[1])
	if v, err := c.Version(t.Context()); err != nil || !regexp.MustCompile(`^1\.\d+\.\d+`).MatchString(v) {
		t.Errorf("version %q, %v", v, err)
	}
}

// TestClientSurvivesACrash has native code crash, and then works on.
func TestClientSurvivesACrash(t *testing.T) {
	c := client(t, testenv.ORT(t))
	path := model(t)
	err := c.Call(t.Context(), "crash", path, nil, nil)
	if fault.Exit(err) != 5 || !strings.Contains(err.Error(), "crashed in native code: SIGSEGV") {
		t.Fatalf("got %v", err)
	}
	if _, err := c.CallTensors(t.Context(), "run", path, feeds(), nil, nil); err != nil {
		t.Errorf("after the crash: %v", err)
	}
}

func TestJobErrorsKeepTheirClass(t *testing.T) {
	c := client(t, testenv.ORT(t))
	err := c.Call(t.Context(), "run", filepath.Join(t.TempDir(), "absent.onnx"), nil, nil)
	if fault.Exit(err) != 4 {
		t.Errorf("got %v", err)
	}
}

func TestWrongLibraries(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "junk.so")
	if err := os.WriteFile(junk, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"":                               "no path is given",
		"/nonexistent/libonnxruntime.so": "cannot open shared object file",
		junk:                             "file too short",
		libc(t):                          "not ONNX Runtime",
	} {
		err := client(t, path).Call(t.Context(), "pid", nil, nil, nil)
		if fault.Exit(err) != 3 || !strings.Contains(err.Error(), want) {
			t.Errorf("library %q gave %v (exit %d)", path, err, fault.Exit(err))
		}
	}
}

// libc is a library that this process has loaded and that is not ONNX Runtime.
func libc(t *testing.T) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`/\S*/libc\.so\.6`).FindString(string(maps))
	if path == "" {
		t.Skip("libc.so.6 is not mapped into this process")
	}
	return path
}
