// Package enginetest is what every builder of engines has to pass:
//
//	func TestContract(t *testing.T) {
//		enginetest.Run(t, builder, good, wrong)
//	}
//
// good is a request that the builder can serve in seconds, wrong one whose
// precision is not the graph's. The suite says nothing about what an engine
// computes; bench and validate do.
package enginetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// prompt is how soon a cancelled build has to return: a process that has to be
// killed gets a few seconds to end by itself.
const prompt = 10 * time.Second

// Run runs the suite. newBuilder gives a builder with processes of its own, which
// end with the test that it is given.
func Run(t *testing.T, newBuilder func(t *testing.T) engine.Builder, good, wrong engine.Request) {
	t.Run("a build is whole and repeats", func(t *testing.T) { whole(t, newBuilder(t), good) })
	t.Run("another precision is refused", func(t *testing.T) { refused(t, newBuilder(t), wrong) })
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := cancelled(ctx, t, newBuilder(t), good, progress.Noop); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is not the context's: %v", err)
		}
	})
	t.Run("cancelled within", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		// A build that was as good as done when it was cancelled may end well.
		if err := cancelled(ctx, t, newBuilder(t), good, &watch{on: cancel}); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the error is not the context's: %v", err)
		}
	})
}

func whole(t *testing.T, b engine.Builder, r engine.Request) {
	home := t.TempDir()
	dirs := []string{home, filepath.Dir(r.Model), "."}
	var before [][]string
	for _, d := range dirs {
		before = append(before, tree(t, d, ""))
	}
	w := &watch{}
	first := build(t, b, r, filepath.Join(home, "one"), w)
	second := build(t, b, r, filepath.Join(home, "two"), progress.Noop)
	// The digest of File may differ: builders time kernels and stamp what they write.
	if d := cmp.Diff(first, second, cmpopts.IgnoreFields(engine.Manifest{}, "Measured", "FileDigest", "Hashed"), cmpopts.IgnoreUnexported(engine.Manifest{})); d != "" {
		t.Errorf("two builds of one request differ:\n%s", d)
	}
	for i, d := range dirs {
		if diff := cmp.Diff(before[i], tree(t, d, home)); diff != "" && d != home {
			t.Errorf("%s is not as it was:\n%s", d, diff)
		}
	}
	if got := names(t, home); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("beside the engines lies %v", got)
	}
	for _, wrong := range w.backwards() {
		t.Errorf("progress: %s", wrong)
	}
}

// build builds into dir and checks the manifest against what lies there.
func build(t *testing.T, b engine.Builder, r engine.Request, dir string, p progress.Counter) *engine.Manifest {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := b.Build(t.Context(), r, dir, p)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]any{
		"kind": {m.Kind, "manifest"}, "version": {m.SchemaVersion, engine.SchemaVersion},
		"key": {m.Key, engine.Key(r, b.Revision())}, "builder": {m.Builder, b.Revision()},
		"backend": {m.Backend, r.Backend}, "model": {m.ModelDigest, r.ModelDigest}, "kv_scale": {m.KVScale, r.KVScale()}, "target": {m.Target, r.Target},
		"precision": {m.Precision, r.Precision}, "achieved": {m.Achieved, r.Precision},
	} {
		if pair[0] != pair[1] {
			t.Errorf("the manifest's %s is %v, want %v", name, pair[0], pair[1])
		}
	}
	if m.Measured.BuildMS <= 0 || len(m.Layers) == 0 {
		t.Errorf("it took %g ms and has layers %v", m.Measured.BuildMS, m.Layers)
	}
	files(t, m, dir)
	readable(t, m)
	return m
}

// files holds the names, the size and the digest in the manifest against disk.
func files(t *testing.T, m *engine.Manifest, dir string) {
	t.Helper()
	var size int64
	want := append([]string{m.File}, m.Files...)
	for _, name := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatalf("the manifest's file: %v", err)
		}
		size += info.Size()
	}
	if m.Bytes != size || size == 0 {
		t.Errorf("the manifest says %d bytes, its files have %d", m.Bytes, size)
	}
	if digest, err := fsx.Digest(filepath.Join(dir, m.File)); err != nil || digest != m.FileDigest {
		t.Errorf("the manifest says digest %s, %s has %s (%v)", m.FileDigest, m.File, digest, err)
	}
	for name, said := range m.Hashed {
		if digest, err := fsx.Digest(filepath.Join(dir, name)); err != nil || digest != said {
			t.Errorf("%s was hashed to %s as it was written, and has %s (%v)", name, said, digest, err)
		}
	}
	for _, name := range []string{m.Account, m.Log} {
		if name != "" {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("the directory holds %v, the manifest names %v", got, want)
	}
}

// readable writes the manifest and reads it back.
func readable(t *testing.T, m *engine.Manifest) {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := engine.ReadManifest(bytes.NewReader(b), "manifest")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(engine.Manifest{}, "Hashed"), cmpopts.IgnoreUnexported(engine.Manifest{})); d != "" {
		t.Errorf("the manifest is not what is read back:\n%s", d)
	}
}

func refused(t *testing.T, b engine.Builder, r engine.Request) {
	m, err := b.Build(t.Context(), r, t.TempDir(), progress.Noop)
	if class := fault.Classify(err); m != nil || err == nil || class != fault.Input && class != fault.Runtime {
		t.Errorf("manifest %v, class %s, error %v", m, class, err)
	}
}

func cancelled(ctx context.Context, t *testing.T, b engine.Builder, r engine.Request, p progress.Counter) error {
	t.Helper()
	begin := time.Now()
	_, err := b.Build(ctx, r, t.TempDir(), p)
	if took := time.Since(begin); err != nil && took > prompt {
		t.Errorf("a cancelled build returned after %v", took)
	}
	return err
}
