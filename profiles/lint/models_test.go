package lint_test

import (
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles/lint"
)

// model is a graph on disk and what is known of it.
type model struct {
	name     string
	path     string
	graph    *lint.Graph
	contract *contract.Contract // nil where it is no decoder
}

func save(t *testing.T, name string, m *onnx.Model) model {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return model{name: name, path: path, graph: lint.Facts(m)}
}

// gpt2 is a decoder of one layer with a cache.
func gpt2(t *testing.T) model {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 1, Width: 8, Heads: 2, Vocab: 16, Positions: 64, Std: 0.2}, 1); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := export.Write(dir, out); err != nil {
		t.Fatal(err)
	}
	m, err := onnx.Load(filepath.Join(out, "model.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	return model{"gpt2", filepath.Join(out, "model.onnx"), lint.Facts(m), c}
}

// encoder embeds tokens and token types, adds a fixed bias and weighs by a mask:
// what an encoder's inputs are, in seven nodes.
func encoder(t *testing.T) model {
	t.Helper()
	m := onnx.New("encoder")
	g := m.Graph()
	tokens := func(name string) {
		g.Input = append(g.Input, onnx.ValueInfo(name, onnx.Int64, onnx.Sym("batch"), onnx.Sym("sequence")))
	}
	tokens("input_ids")
	tokens("token_type_ids")
	tokens("attention_mask")
	g.Input = append(g.Input, onnx.ValueInfo("bias", onnx.Float32, onnx.Fixed(4)))
	g.Output = append(g.Output, onnx.ValueInfo("hidden", onnx.Float32, onnx.Sym("batch"), onnx.Sym("sequence"), onnx.Fixed(4)))
	m.SetWeight(onnx.Floats("words", []int64{8, 4}, make([]float32, 32)...))
	m.SetWeight(onnx.Floats("types", []int64{2, 4}, make([]float32, 8)...))
	m.SetWeight(onnx.Ints("last", []int64{1}, -1))
	g.Node = append(g.Node,
		onnx.Node("Gather", "word", []string{"words", "input_ids"}, []string{"w"}),
		onnx.Node("Gather", "type", []string{"types", "token_type_ids"}, []string{"t"}),
		onnx.Node("Add", "sum", []string{"w", "t"}, []string{"s"}),
		onnx.Node("Add", "shift", []string{"s", "bias"}, []string{"b"}),
		onnx.Node("Cast", "float", []string{"attention_mask"}, []string{"m"}, "to", onnx.Float32),
		onnx.Node("Unsqueeze", "column", []string{"m", "last"}, []string{"c"}),
		onnx.Node("Mul", "weigh", []string{"b", "c"}, []string{"hidden"}))
	return save(t, "encoder", m)
}

// resizer expands a row to a shape that is given at run time: a shape tensor.
func resizer(t *testing.T) model {
	t.Helper()
	m := onnx.New("resizer")
	g := m.Graph()
	g.Input = append(g.Input,
		onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4)),
		onnx.ValueInfo("target", onnx.Int64, onnx.Fixed(2)))
	g.Output = append(g.Output,
		onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4)),
		onnx.ValueInfo("z", onnx.Float32, onnx.Sym("rows"), onnx.Sym("columns")))
	m.SetWeight(onnx.Floats("row", []int64{1, 4}, 1, 2, 3, 4))
	g.Node = append(g.Node,
		onnx.Node("Mul", "square", []string{"x", "x"}, []string{"y"}),
		onnx.Node("Expand", "grow", []string{"row", "target"}, []string{"z"}))
	return save(t, "resizer", m)
}
