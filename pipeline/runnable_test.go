package pipeline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
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
	if err := fsx.WriteJSON(filepath.Join(built, manifestFile), manifest); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		built: "ortcpu-fp32", filepath.Join(built, manifestFile): "ortcpu-fp32", filepath.Join(built, "model.onnx"): "model", "mine=" + built: "mine",
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
	if err := fsx.WriteJSON(filepath.Join(outside, manifestFile), manifest); err != nil {
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
