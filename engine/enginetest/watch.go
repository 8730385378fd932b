package enginetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/trtforge/trtforge/internal/progress"
)

// watch records progress by path and calls on at the first of it.
type watch struct {
	on   func()
	path string
	root *watch // nil in the root itself

	mu    sync.Mutex
	done  map[string]int64
	max   map[string]int64
	wrong []string
}

var _ progress.Counter = (*watch)(nil)

func (w *watch) all() *watch {
	if w.root != nil {
		return w.root
	}
	return w
}

func (w *watch) begun() {
	r := w.all()
	r.mu.Lock()
	on := r.on
	r.on = nil
	r.mu.Unlock()
	if on != nil {
		on()
	}
}

// SetMax records how much there is to do. A path that starts again says so by a
// new maximum after it had come to its end.
func (w *watch) SetMax(n int64) {
	w.begun()
	r := w.all()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.max == nil {
		r.max, r.done = map[string]int64{}, map[string]int64{}
	}
	r.max[w.path] = n
}

// Set records how much is done.
func (w *watch) Set(n int64) {
	w.begun()
	r := w.all()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.max == nil {
		r.max, r.done = map[string]int64{}, map[string]int64{}
	}
	if n < r.done[w.path] {
		r.wrong = append(r.wrong, fmt.Sprintf("%q went from %d back to %d", w.path, r.done[w.path], n))
	}
	if limit := r.max[w.path]; limit > 0 && n > limit {
		r.wrong = append(r.wrong, fmt.Sprintf("%q is at %d of %d", w.path, n, limit))
	}
	r.done[w.path] = n
}

// Note counts as a sign of life.
func (w *watch) Note(string) { w.begun() }

// Sub is a path below.
func (w *watch) Sub(name string) progress.Counter {
	return &watch{path: strings.TrimPrefix(w.path+"/"+name, "/"), root: w.all()}
}

func (w *watch) backwards() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wrong
}

// tree is every file below dir with size and time, but for what is below except.
func tree(t *testing.T, dir, except string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == except {
			return fs.SkipDir
		}
		if info, err := d.Info(); err == nil && !d.IsDir() {
			all = append(all, fmt.Sprintf("%s %d %v", path, info.Size(), info.ModTime()))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
