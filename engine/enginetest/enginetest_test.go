package enginetest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// fake is the least that a builder can be: its engine is the model, which is
// FP32.
type fake struct{}

func (fake) Revision() string { return "fake 1" }

func (f fake) Build(ctx context.Context, r engine.Request, dir string, p progress.Counter) (*engine.Manifest, error) {
	if r.Precision != engine.FP32 {
		return nil, fault.New(fault.Runtime, "building", r.Name, "the model is fp32", "ask for fp32")
	}
	b, err := os.ReadFile(r.Model)
	if err != nil {
		return nil, fsx.Explain("reading", r.Model, err)
	}
	p.SetMax(2)
	p.Set(1)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "engine"), b, 0o600); err != nil {
		return nil, err
	}
	p.Set(2)
	digest, err := fsx.Digest(filepath.Join(dir, "engine"))
	return &engine.Manifest{
		Kind: "manifest", SchemaVersion: engine.SchemaVersion, Key: engine.Key(r, f.Revision()), Backend: r.Backend,
		Precision: r.Precision, Achieved: engine.FP32, ModelDigest: r.ModelDigest, KVScale: r.KVScale(), Builder: f.Revision(),
		File: "engine", Bytes: int64(len(b)), FileDigest: digest, Layers: map[string]int{"gemm fp32": 1},
		Measured: engine.Measured{BuildMS: 1},
	}, err
}

func TestFake(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(model, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := engine.Request{Name: "good", Backend: "fake", Precision: engine.FP32, Model: model, ModelDigest: "abc"}
	wrong := good
	wrong.Precision = engine.INT8
	Run(t, func(*testing.T) engine.Builder { return fake{} }, good, wrong)
}

func TestWatchSeesProgressThatGoesBack(t *testing.T) {
	calls := 0
	w := &watch{on: func() { calls++ }}
	part := w.Sub("parse").Sub("weights")
	w.SetMax(3)
	w.Set(1)
	part.Set(5)
	w.Set(2)
	part.Set(4)
	w.Set(4)
	w.Note("done")
	want := []string{`"parse/weights" went from 5 back to 4`, `"" is at 4 of 3`}
	if got := w.backwards(); !slices.Equal(got, want) || calls != 1 {
		t.Errorf("got %q and %d calls, want %q and one", got, calls, want)
	}
}
