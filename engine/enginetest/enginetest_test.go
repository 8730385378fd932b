package enginetest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/engine"
)

func TestFake(t *testing.T) {
	model := filepath.Join(t.TempDir(), "model")
	if err := os.WriteFile(model, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := engine.Request{Name: "good", Backend: "fake", Precision: engine.FP32, Model: model, ModelDigest: "abc"}
	wrong := good
	wrong.Precision = engine.INT8
	Run(t, func(*testing.T) engine.Builder { return Fake{Version: "1"} }, good, wrong)
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
