package quant

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// layout is a product of x [n, 4] and a weight of 24 elements.
type layout struct {
	op      string
	attrs   []any
	dims    []int64 // of the weight
	moves   []*onnxpb.NodeProto
	half    bool // the weight is stored as float16
	matrix  []int64
	axis    int     // of the output channels, of matrix
	stored  []int64 // what the levels' shape becomes
	becomes string
}

func move(op string, attrs ...any) []*onnxpb.NodeProto {
	return []*onnxpb.NodeProto{onnx.Node(op, "move", []string{"w"}, []string{"moved"}, attrs...)}
}

func reshape(to string) []*onnxpb.NodeProto {
	return []*onnxpb.NodeProto{onnx.Node("Reshape", "move", []string{"w", to}, []string{"moved"})}
}

var layouts = map[string]layout{
	"MatMul":           {op: "MatMul", dims: []int64{4, 6}, axis: 1, stored: []int64{4, 6}, becomes: "MatMul"},
	"MatMul, tied":     {op: "MatMul", dims: []int64{6, 4}, moves: move("Transpose", "perm", []int64{1, 0}), axis: 0, stored: []int64{4, 6}, becomes: "MatMul"},
	"MatMul, moved":    {op: "MatMul", dims: []int64{4, 6}, moves: move("Transpose", "perm", []int64{0, 1}), axis: 1, stored: []int64{4, 6}, becomes: "MatMul"},
	"MatMul, reshaped": {op: "MatMul", dims: []int64{2, 2, 6}, moves: reshape("four"), matrix: []int64{4, 6}, axis: 1, stored: []int64{4, 6}, becomes: "MatMul"},
	"MatMul, flat":     {op: "MatMul", dims: []int64{24}, moves: reshape("four"), matrix: []int64{4, 6}, axis: 1, stored: []int64{4, 6}, becomes: "MatMul"},
	"MatMul, cast":     {op: "MatMul", dims: []int64{4, 6}, moves: move("Cast", "to", onnx.Float32), half: true, axis: 1, stored: []int64{4, 6}, becomes: "MatMul"},
	"Gemm":             {op: "Gemm", dims: []int64{4, 6}, axis: 1, stored: []int64{4, 6}, becomes: "MatMul"},
	"Gemm, transB":     {op: "Gemm", attrs: []any{"transB", 1}, dims: []int64{6, 4}, axis: 0, stored: []int64{4, 6}, becomes: "MatMul"},
	"Gemm, twice":      {op: "Gemm", attrs: []any{"transB", 1}, dims: []int64{4, 6}, moves: move("Transpose"), axis: 1, stored: []int64{4, 6}, becomes: "MatMul"},
	"Gemm, alpha":      {op: "Gemm", attrs: []any{"alpha", float32(2)}, dims: []int64{4, 6}, axis: 1, stored: []int64{4, 6}, becomes: "Gemm"},
	"Gemm, transB, β":  {op: "Gemm", attrs: []any{"transB", 1, "beta", float32(2)}, dims: []int64{6, 4}, axis: 0, stored: []int64{6, 4}, becomes: "Gemm"},
}

// graph is the product alone.
func (l layout) graph(t *testing.T) *onnx.Model {
	t.Helper()
	m := onnx.New("g")
	values := make([]float32, 24)
	for i := range values {
		values[i] = float32((i*7)%24-11) / 2 // exact in float16
	}
	values[3], values[9] = 0, 1e-45 // a zero and a subnormal beside them
	if l.half {
		values[9] = 0
	}
	w := onnx.Floats("w", l.dims, values...)
	if l.half {
		var err error
		if w, err = w.Convert(onnx.Float16); err != nil {
			t.Fatal(err)
		}
	}
	m.SetWeight(w)
	m.SetWeight(onnx.Floats("b", []int64{6}, values[:6]...))
	m.SetWeight(onnx.Ints("four", []int64{2}, 4, -1))
	g := m.Graph()
	g.Input = []*onnxpb.ValueInfoProto{onnx.ValueInfo("x", onnx.Float32, onnx.Sym("n"), onnx.Fixed(4))}
	g.Output = []*onnxpb.ValueInfoProto{onnx.ValueInfo("y", onnx.Float32, onnx.Sym("n"), onnx.Fixed(6))}
	inputs := []string{"x", "w"}
	if l.moves != nil {
		g.Node, inputs[1] = append(g.Node, l.moves...), "moved"
	}
	if l.op == "Gemm" {
		inputs = append(inputs, "b")
	}
	g.Node = append(g.Node, onnx.Node(l.op, "product", inputs, []string{"y"}, l.attrs...))
	return m
}

// TestLayouts: the scales stand on the output channels of each layout, levels
// and scales are numpy's bit for bit, the float weight goes, and what is no plain
// product and sum stays a Gemm.
func TestLayouts(t *testing.T) {
	table := &calib.Table{Ranges: map[string]calib.Range{"x": {Lo: -1, Hi: 1, Amax: 1}}}
	for name, l := range layouts {
		m := l.graph(t)
		if l.matrix == nil {
			l.matrix = l.dims
		}
		for _, p := range []Policy{everything(), {Roles: everything().Roles, WeightOnly: true}} {
			q, decisions, err := Int8(m, table, p)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if d := decisions[0]; !d.Quantized || d.Weight != "w" || d.Axis != l.axis || d.Shared != "" {
				t.Errorf("%s: %+v", name, d)
			}
			stored, scale := q.Weight("w/int8"), q.Weight("w/scale")
			if !slices.Equal(stored.Dims, l.stored) || scale.Dims[0] != 6 || q.Weight("w") != nil {
				t.Errorf("%s: stored as %v with %v scales; the float weight stays: %v", name, stored.Dims, scale.Dims, q.Weight("w") != nil)
			}
			pairs := 0
			for _, n := range q.Graph().GetNode() {
				if n.GetOpType() == "DequantizeLinear" && n.GetInput()[0] == "w/int8" {
					if axis := onnx.AttrInt(n, "axis", 1); stored.Dims[axis] != 6 {
						t.Errorf("%s: scales stand on axis %d of %v", name, axis, stored.Dims)
					}
				}
				if n.GetName() == "product" && n.GetOpType() != l.becomes {
					t.Errorf("%s: became a %s", name, n.GetOpType())
				}
				if n.GetOpType() == "QuantizeLinear" {
					pairs++
				}
			}
			if (pairs == 0) != p.WeightOnly {
				t.Errorf("%s: weights only: %v, %d activations are quantized", name, p.WeightOnly, pairs)
			}
			if err := onnx.Check(q); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			numpys(t, name, m.Weight("w"), l, stored, scale)
		}
	}
}

// numpys holds what is stored of w to numpy's levels and scales of its matrix.
func numpys(t *testing.T, name string, w *onnx.Weight, l layout, stored, scale *onnx.Weight) {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	values, err := w.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in, quanttest.Raw(values), 0o600); err != nil {
		t.Fatal(err)
	}
	quanttest.Oracle(t, "int8", in, out, strconv.FormatInt(l.matrix[0], 10), strconv.FormatInt(l.matrix[1], 10), strconv.Itoa(l.axis))
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(stored.Dims, l.matrix) {
		stored = transpose(stored)
	}
	levels, err := stored.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := scale.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(append(quanttest.Raw(s), levels...), want) {
		t.Errorf("%s: levels or scales differ from numpy's", name)
	}
}

// TestWeightsThatAreComputed: what cannot be folded is named with its reason,
// all at once; who excludes it, or takes other roles, gets the rest.
func TestWeightsThatAreComputed(t *testing.T) {
	plain := layouts["MatMul"]
	for name, c := range map[string]struct {
		change func(*onnx.Model)
		want   []string
	}{
		"a sum": {func(m *onnx.Model) {
			g := m.Graph()
			g.Node = slices.Insert(g.Node, 0, onnx.Node("Add", "sum", []string{"w", "w"}, []string{"moved"}))
			g.Node[1].Input[1] = "moved"
		}, []string{"product", `computed by node "sum"`, "fold constants"}},
		"turned and cut": {func(m *onnx.Model) {
			g := m.Graph()
			m.SetWeight(onnx.Ints("six", []int64{2}, 4, 6))
			w := *m.Weight("w")
			w.Dims = []int64{3, 8}
			m.SetWeight(&w)
			g.Node = slices.Insert(g.Node, 0, onnx.Node("Transpose", "turn", []string{"w"}, []string{"turned"}),
				onnx.Node("Reshape", "cut", []string{"turned", "six"}, []string{"moved"}))
			g.Node[2].Input[1] = "moved"
		}, []string{"product", `cut anew by node "cut"`}},
		"an open shape": {func(m *onnx.Model) {
			g := m.Graph()
			m.SetWeight(onnx.Ints("odd", []int64{2}, 5, -1))
			g.Node = slices.Insert(g.Node, 0, onnx.Node("Reshape", "cut", []string{"w", "odd"}, []string{"moved"}))
			g.Node[1].Input[1] = "moved"
		}, []string{"product", "cannot be told", `node "cut"`}},
		"rounded": {func(m *onnx.Model) {
			g := m.Graph()
			g.Node = slices.Insert(g.Node, 0, onnx.Node("Cast", "down", []string{"w"}, []string{"low"}, "to", onnx.Float16),
				onnx.Node("Cast", "up", []string{"low"}, []string{"moved"}, "to", onnx.Float32))
			g.Node[2].Input[1] = "moved"
		}, []string{"product", `rounded to float16 by node "down"`}},
		"a float16 graph": {func(m *onnx.Model) {
			half, err := m.Weight("w").Convert(onnx.Float16)
			if err != nil {
				t.Fatal(err)
			}
			m.SetWeight(half)
		}, []string{"product", "computes in float16"}},
	} {
		m := plain.graph(t)
		c.change(m)
		table := &calib.Table{Ranges: map[string]calib.Range{"x": {Lo: -1, Hi: 1, Amax: 1}}}
		_, _, err := Int8(m, table, everything())
		if fault.Classify(err) != fault.Input {
			t.Errorf("%s: %v, want an input error", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(advice(err), want) {
				t.Errorf("%s: %v lacks %q", name, advice(err), want)
			}
		}
		if _, err := Targets(m, everything()); err == nil {
			t.Errorf("%s: a calibration for it starts", name)
		}
		p := everything()
		p.Exclude = map[string]bool{"product": true}
		q, decisions, err := Int8(m, table, p)
		if err != nil || decisions[0].Quantized || graph.Quantized(q) != nil {
			t.Errorf("%s, excluded: %v, %v", name, decisions, err)
		}
	}
}

// advice is an error with its fix.
func advice(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return err.Error() + "; " + f.Fix
	}
	return err.Error()
}
