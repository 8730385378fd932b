//go:build cgo

package ortcpu

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
)

// models writes a small random GPT-2 in the three precisions.
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
	half, err := quant.Half(m, quant.HalfOptions{})
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
	paths := map[string]string{}
	for name, m := range map[string]*onnx.Model{"fp32": m, "fp16": half, "int8": q} {
		paths[name] = filepath.Join(dir, name+".onnx")
		if err := onnx.Save(m, paths[name], onnx.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func TestExperiment(t *testing.T) {
	if err := ort.Init(os.Getenv("LIB")); err != nil {
		t.Fatal(err)
	}
	for name, path := range models(t) {
		for _, level := range []ort.Optimize{"none", "basic", "extended", "all"} {
			out := filepath.Join(t.TempDir(), name+string(level)+".onnx")
			s, err := ort.Open(path, ort.Options{Optimize: level, SaveOptimized: out})
			if err != nil {
				t.Error(name, level, err)
				continue
			}
			_ = s.Close()
			m, err := onnx.Load(out)
			if err != nil {
				t.Error(name, level, err)
				continue
			}
			ops := map[string]int{}
			for _, n := range m.Graph().Node {
				ops[n.Domain+"."+n.OpType]++
			}
			ws := map[string]int64{}
			_ = m.Weights(func(w *onnx.Weight) error { ws[w.Type.String()] += w.Data.Size(); return nil })
			var list []string
			for k, v := range ops {
				list = append(list, fmt.Sprint(k, ":", v))
			}
			sort.Strings(list)
			t.Log(name, level, list, ws, len(m.Graph().ValueInfo))
		}
	}
}
