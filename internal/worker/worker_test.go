package worker

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

func TestBundleRefuses(t *testing.T) {
	c := start(t)
	good, ids := demo(t)
	broken := t.TempDir()
	copyFile(t, filepath.Join(good.Model, "config.json"), filepath.Join(broken, "config.json"))
	weights := filepath.Join(broken, "model.safetensors")
	if err := os.WriteFile(weights, []byte("not safetensors"), 0o600); err != nil {
		t.Fatal(err)
	}
	alien := filepath.Join(t.TempDir(), "alien.bin")
	if err := os.WriteFile(alien, make([]byte, 4*len(ids)+1), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large.bin")
	if err := os.WriteFile(large, []byte(strings.Repeat("\x00\x08\x00\x00", 600)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name string
		edit func(r *BundleRequest)
		code fault.Code
		says string
	}{
		{"a model that is not there", func(r *BundleRequest) { r.Model = t.TempDir() }, fault.Input, "config.json"},
		{"broken weights", func(r *BundleRequest) { r.Model = broken }, fault.Input, broken},
		{"ids of odd length", func(r *BundleRequest) { r.IDs = alien }, fault.Input, "32-bit"},
		{"ids of another tokenizer", func(r *BundleRequest) { r.IDs = large }, fault.Input, "token 2048"},
		{"an unknown convention", func(r *BundleRequest) { r.Convention = "hf-strided(512)" }, fault.Usage, "hf-strided"},
		{"a window beyond the positions", func(r *BundleRequest) { r.Convention = "hf-nonoverlap(600)" }, fault.Usage, "512 positions"},
		{"a text shorter than a window", func(r *BundleRequest) { r.Convention = "hf-nonoverlap(9000)" }, fault.Usage, "5504 tokens"},
	} {
		r := good
		r.Out = t.TempDir()
		v.edit(&r)
		_, err := Bundle(t.Context(), c, r, progress.Noop)
		if fault.Classify(err) != v.code || !strings.Contains(err.Error(), v.says) {
			t.Errorf("%s: class %s: %v", v.name, fault.Classify(err), err)
		}
	}
	if _, err := Bundle(t.Context(), c, good, progress.Noop); err != nil {
		t.Errorf("the worker did not survive refusals: %v", err)
	}
}

func TestUnknownJob(t *testing.T) {
	err := start(t).Call(t.Context(), "nonsense", nil, nil, progress.Noop)
	if fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("%v", err)
	}
}

// A worker that is killed in a job says so and does not hang.
func TestKilledWorker(t *testing.T) {
	c := start(t)
	request, _ := demo(t)
	p := &watcher{done: func() { _ = syscall.Kill(c.PID(), syscall.SIGKILL) }}
	_, err := Bundle(t.Context(), c, request, p)
	var death *child.Death
	if fault.Classify(err) != fault.Runtime || !errors.As(err, &death) || !strings.Contains(err.Error(), "bundle") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(request.Out, "bundle.json")); err == nil {
		t.Error("a killed worker left a header")
	}
}

// watcher calls done at the first window.
type watcher struct{ done func() }

func (w *watcher) SetMax(int64) {}
func (w *watcher) Set(n int64) {
	if n > 0 && w.done != nil {
		w.done()
		w.done = nil
	}
}
func (w *watcher) Note(string)                 {}
func (w *watcher) Sub(string) progress.Counter { return w }

// Closing ends the worker at once, by the end of its stdin, not by a signal.
func TestCloseIsQuick(t *testing.T) {
	c := start(t)
	begin := time.Now()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("closing took %v", took)
	}
}

func TestStartWithoutPython(t *testing.T) {
	for _, python := range []string{"", filepath.Join(t.TempDir(), "python")} {
		_, err := Start(t.Context(), Reference, Options{Python: python, Cache: t.TempDir()})
		if fault.Classify(err) != fault.Missing {
			t.Errorf("python %q: class %s: %v", python, fault.Classify(err), err)
		}
	}
}

// Programs that were tampered with are written again before they run.
func TestUnpackMends(t *testing.T) {
	cache := t.TempDir()
	dir, err := unpack(cache)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "wire.py")
	if err := os.WriteFile(path, []byte("import evil"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := unpack(cache)
	if err != nil || again != dir {
		t.Fatalf("%s, %v", again, err)
	}
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "evil") {
		t.Errorf("wire.py was not mended (%v)", err)
	}
	if Digest() == "" {
		t.Error("no digest")
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
