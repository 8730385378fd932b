package task

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

func TestOpenRunnable(t *testing.T) {
	dir := t.TempDir()
	if err := export.Random(filepath.Join(dir, "checkpoint"), export.Shape{Layers: 1, Width: 16, Heads: 2, Vocab: 64, Positions: 32}, 1); err != nil {
		t.Fatal(err)
	}
	built := filepath.Join(dir, "engine")
	if err := export.Write(filepath.Join(dir, "checkpoint"), built, export.All); err != nil {
		t.Fatal(err)
	}
	manifest := engine.Manifest{Kind: "manifest", SchemaVersion: 1, Backend: "ortcpu", Precision: engine.FP32, File: "model.onnx"}
	if err := fsx.WriteJSON(filepath.Join(built, engine.ManifestFile), manifest); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		built: "ortcpu-fp32", filepath.Join(built, engine.ManifestFile): "ortcpu-fp32", filepath.Join(built, "model.onnx"): "model", "mine=" + built: "mine",
	} {
		r, err := OpenRunnable(arg, nil, 3)
		if err != nil {
			t.Errorf("%s: %v", arg, err)
			continue
		}
		if r.Name != want || r.Backend != "ortcpu" || r.Precision != engine.FP32 || r.Model.Threads != 3 || r.Model.Contract.Layers != 1 || r.Dir != built {
			t.Errorf("%s is %+v", arg, r)
		}
		if wantManifest := filepath.Ext(arg) != ".onnx"; (r.Manifest != nil) != wantManifest {
			t.Errorf("%s has the manifest %v", arg, r.Manifest)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(dir, "outside")
	manifest.File = "../engine/model.onnx"
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fsx.WriteJSON(filepath.Join(outside, engine.ManifestFile), manifest); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]fault.Code{
		filepath.Join(dir, "text"): fault.Usage, dir: fault.Input, outside: fault.Input, "abcdef": fault.Input,
	} {
		if _, err := OpenRunnable(arg, nil, 0); fault.Classify(err) != want {
			t.Errorf("%s: %v, want class %s", arg, err, want)
		}
	}
}

// TestAnEngineEditedByHandIsNotRun: its figures would go by the name that was edited in.
func TestAnEngineEditedByHandIsNotRun(t *testing.T) {
	dir := t.TempDir()
	model := filepath.Join(dir, "model")
	if err := os.WriteFile(model, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(filepath.Join(dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	r := engine.Request{Name: "a", Backend: "fake", Precision: engine.FP32, Model: model, ModelDigest: "a", Contract: &contract.Contract{Kind: "contract", SchemaVersion: 1}}
	e, err := s.Build(t.Context(), enginetest.Fake{}, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := e.Export(out); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRunnable(out, nil, 0); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, engine.ManifestFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(b, []byte("fp32"), []byte("int8")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRunnable(out, nil, 0); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("err %v", err)
	}
}
