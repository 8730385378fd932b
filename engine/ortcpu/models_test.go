//go:build cgo

package ortcpu

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/half"
)

// TestMain lets the test binary be the ONNX Runtime child.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ort.Command {
		os.Exit(ort.Serve(map[string]child.Job{JobOptimise: OptimiseJob}))
	}
	os.Exit(m.Run())
}

// builder has a child with the installed ONNX Runtime.
func builder(t *testing.T) *Builder {
	t.Helper()
	client := &ort.Client{Library: testenv.ORT(t)}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	version, err := client.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &Builder{Start: func(context.Context) (Caller, error) { return client, nil }, Version: version, CreatedBy: "test"}
}

// models writes a small random GPT-2 in the three precisions, and one
// whose Q/DQ are in float16, which the CPU has no integer kernels for.
func models(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(filepath.Join(dir, "hf"), export.Shape{Layers: 2, Width: 64, Heads: 4, Vocab: 96, Positions: 32}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(filepath.Join(dir, "hf"), export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	fp16, _, err := half.Convert(m, half.Options{})
	if err != nil {
		t.Fatal(err)
	}
	targets, err := quant.Targets(m, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	table := &calib.Table{Kind: "table", SchemaVersion: 1, Ranges: map[string]calib.Range{}}
	for _, x := range targets {
		table.Ranges[x.Activation] = calib.Range{Lo: -3, Hi: 3, Amax: 3}
	}
	q, _, err := quant.Int8(m, table, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	odd, _, err := half.Convert(q, half.Options{})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{}
	for name, m := range map[string]*onnx.Model{"fp32": m, "fp16": fp16, "int8": q, "int8 in fp16": odd} {
		paths[name] = filepath.Join(dir, name+".onnx")
		if err := onnx.Save(m, paths[name], onnx.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}
