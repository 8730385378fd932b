package contract

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// chain is a graph of n inputs of symbols of their own, each concatenated with
// what came before, and each sum made equal to the next input's.
func chain(n int, named bool) *onnx.Model {
	m := onnx.New("chain")
	g := m.Graph()
	last := ""
	for i := range n {
		name, symbol := fmt.Sprintf("i%d", i), fmt.Sprintf("d%d", i)
		if !named {
			symbol = ""
		}
		v := onnx.ValueInfo(name, onnx.Float32, onnx.Sym(symbol), onnx.Fixed(4))
		if !named {
			v.GetType().GetTensorType().GetShape().Dim[0].Value = nil
		}
		g.Input = append(g.Input, v)
		if last != "" {
			g.Node = append(g.Node, onnx.Node("Add", "", []string{last, name}, []string{"s" + name}))
			last = "s" + name
			continue
		}
		last = name
	}
	g.Output = append(g.Output, onnx.ValueInfo(last, onnx.Float32, onnx.Sym("o"), onnx.Fixed(4)))
	return m
}

// attention is a decoder of one layer without weights of note: ids [a, b], a cache
// [c, 1, d, 2], a mask [e, f].
func attention() *onnx.Model {
	m := onnx.New("attention")
	g := m.Graph()
	m.SetWeight(onnx.Floats("table", []int64{3, 2}, 1, 2, 3, 4, 5, 6))
	m.SetWeight(onnx.Floats("out", []int64{2, 3}, 1, 2, 3, 4, 5, 6))
	m.SetWeight(onnx.Ints("one", []int64{1}, 1))
	m.SetWeight(onnx.Ints("two", []int64{2}, 1, 2))
	g.Input = append(g.Input,
		onnx.ValueInfo("ids", onnx.Int64, onnx.Sym("a"), onnx.Sym("b")),
		onnx.ValueInfo("cache", onnx.Float32, onnx.Sym("c"), onnx.Fixed(1), onnx.Sym("d"), onnx.Fixed(2)),
		onnx.ValueInfo("mask", onnx.Int64, onnx.Sym("e"), onnx.Sym("f")))
	node := func(op, out string, in ...string) *onnxpb.NodeProto {
		n := onnx.Node(op, "", in, []string{out})
		g.Node = append(g.Node, n)
		return n
	}
	node("Gather", "x", "table", "ids")
	node("Unsqueeze", "new", "x", "one")
	concat := onnx.Node("Concat", "", []string{"cache", "new"}, []string{"grown"}, "axis", 2)
	g.Node = append(g.Node, concat)
	g.Node = append(g.Node, onnx.Node("Transpose", "", []string{"grown"}, []string{"turned"}, "perm", []int64{0, 1, 3, 2}))
	node("MatMul", "scores", "new", "turned")
	g.Node = append(g.Node, onnx.Node("Cast", "", []string{"mask"}, []string{"bias"}, "to", onnx.Float32))
	node("Unsqueeze", "wide", "bias", "two")
	node("Add", "masked", "scores", "wide")
	node("Softmax", "weights", "masked")
	node("MatMul", "mixed", "weights", "new")
	node("Squeeze", "flat", "mixed", "one")
	node("MatMul", "logits", "flat", "out")
	g.Output = append(g.Output, onnx.ValueInfo("logits", onnx.Float32), onnx.ValueInfo("grown", onnx.Float32))
	return m
}

// Ten thousand inputs take seconds at most, and a report stays readable.
func TestManyInputs(t *testing.T) {
	for _, named := range []bool{true, false} {
		begin := time.Now()
		c, err := Infer(chain(10000, named))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Inputs) != 10000 || c.Inputs[9999].Dims[0].Role != Free || c.Inputs[9999].Dims[1].Role != Static {
			t.Errorf("%d inputs, the last is %+v", len(c.Inputs), c.Inputs[len(c.Inputs)-1])
		}
		if d := time.Since(begin); d > 20*time.Second {
			t.Errorf("it took %s", d)
		}
	}
	// The same beside a decoder: everything is asked, and not all of it is said.
	m := load(t, "gpt2")
	for i := range 10000 {
		m.Graph().Input = append(m.Graph().Input, onnx.ValueInfo(fmt.Sprintf("i%d", i), onnx.Int64, onnx.Sym(fmt.Sprintf("d%d", i))))
	}
	_, err := Infer(m)
	if fault.Exit(err) != 4 || len(err.Error()) > 64<<10 || !strings.Contains(err.Error(), "--bind i0:0=") {
		t.Errorf("exit %d, %d bytes", fault.Exit(err), len(err.Error()))
	}
}

// Symbols that go in circles or contradict each other neither hang nor are
// believed.
func TestSymbolsInCircles(t *testing.T) {
	for name, change := range map[string]func(m *onnx.Model){
		"a sum of itself": func(m *onnx.Model) { call(m, "attention_mask", 1, "sequence_length + sequence_length") },
		"each other's": func(m *onnx.Model) {
			call(m, "input_ids", 1, "past_sequence_length")
			call(m, "past_key_values.0.key", 2, "sequence_length")
		},
		"one for all": func(m *onnx.Model) {
			for _, v := range m.Graph().Input {
				for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
					if d.GetDimParam() != "" {
						d.Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "n"}
					}
				}
			}
		},
		"longer than a line": func(m *onnx.Model) {
			call(m, "attention_mask", 1, strings.Repeat("past_sequence_length + ", 10000)+"sequence_length")
		},
	} {
		m := load(t, "gpt2")
		change(m)
		c, err := Infer(m)
		switch {
		case err != nil && fault.Exit(err) != 4:
			t.Errorf("%s: %v", name, err)
		case err == nil:
			for _, w := range compare(c, exports(t)["gpt2"], nil) {
				t.Errorf("%s: %s", name, w)
			}
		}
	}
}

// A node loop, a graph without nodes and one without anything are no trouble.
func TestGraphsThatAreNone(t *testing.T) {
	m := onnx.New("empty")
	if _, err := Infer(m); err != nil {
		t.Errorf("empty: %v", err)
	}
	m.Proto.Graph = nil
	if _, err := Infer(m); err != nil && fault.Exit(err) != 4 {
		t.Errorf("absent: %v", err)
	}
	m = load(t, "gpt2")
	m.Graph().Node = nil // names are left
	if c, err := Infer(m); err != nil || c.Layers != 2 {
		t.Errorf("without nodes: %v", err)
	}
	m = onnx.New("circle")
	m.Graph().Input = append(m.Graph().Input, onnx.ValueInfo("x", onnx.Float32, onnx.Sym("a"), onnx.Sym("b")))
	m.Graph().Node = append(m.Graph().Node, onnx.Node("Add", "", []string{"x", "z"}, []string{"y"}), onnx.Node("Identity", "", []string{"y"}, []string{"z"}),
		onnx.Node("Identity", "", []string{"w"}, []string{"w"}))
	m.Graph().Output = append(m.Graph().Output, onnx.ValueInfo("z", onnx.Float32), onnx.ValueInfo("w", onnx.Float32))
	if _, err := Infer(m); err != nil && fault.Exit(err) != 4 {
		t.Errorf("circle: %v", err)
	}
}

// Whatever a file holds, the answer is a contract or a refusal.
func FuzzInfer(f *testing.F) {
	dir := f.TempDir()
	for i, m := range []*onnx.Model{chain(3, true), attention()} {
		path := filepath.Join(dir, fmt.Sprintf("seed%d.onnx", i))
		if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
			f.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "model.onnx")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := onnx.Load(path)
		if err != nil {
			return
		}
		defer func() { _ = m.Close() }()
		c, err := Infer(m)
		if err != nil {
			if fault.Exit(err) != 4 {
				t.Errorf("class of %v", err)
			}
			return
		}
		for _, in := range c.Inputs {
			if got := c.Shape(in, 1, 2, 3); len(got) != len(in.Dims) {
				t.Errorf("shape %v of %+v", got, in)
			}
		}
		if err := c.Write(new(strings.Builder)); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseBinding(f *testing.F) {
	for _, s := range []string{"x:0=batch", "a:b=c:1=8", "x:2=1..8..64", "x:3=1..8", "x:=1", "x:1=9..1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := ParseBinding(s)
		if err != nil {
			if fault.Exit(err) != 2 {
				t.Errorf("class of %v", err)
			}
			return
		}
		back, err := ParseBinding(b.String())
		if err != nil || back.String() != b.String() {
			t.Errorf("%q is %q, then %q, %v", s, b, back, err)
		}
	})
}
