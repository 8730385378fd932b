package shape

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/onnx"
)

// described is a value's info as text: "int64[batch, 4]", or without a rank "int64".
func described(m *onnx.Model, name string) string {
	for _, v := range m.Graph().GetValueInfo() {
		if v.GetName() == name {
			t, dims := onnx.TypeOf(v)
			if dims == nil {
				return t.String()
			}
			text := make([]string, len(dims))
			for i, d := range dims {
				text[i] = d.String()
			}
			return fmt.Sprintf("%s[%s]", t, strings.Join(text, ", "))
		}
	}
	return ""
}

// Inputs of the cases: x float [b, s, 6], y float [b, p, 6], v int64 [p + s].
func TestInferRules(t *testing.T) {
	for _, c := range []struct {
		want  string
		nodes string // operator input,input attr=1,2; the last one makes "out"
	}{
		{"float[b, s, 6]", "Add x,x"},
		{"float[b, -1, 6]", "Add x,y"}, // either may be 1
		{"bool[b, s, 6]", "Less x,x"},
		{"float[b, p + s, 6]", "Concat y,x axis=1"},
		{"float[b, s, 12]", "Concat x,x axis=-1"},
		{"float[6, b, s]", "Transpose x perm=2,0,1"},
		{"float[6, s, b]", "Transpose x"},
		{"float[b, s, 2, 3]", "Reshape x,c_0_0_2_-1"},
		{"float[b*s, 6]", "Reshape x,c_-1_6"},
		{"float[b, 6, s]", "Shape x; Slice t0,c_0,c_1; Shape x; Slice t2,c_1,c_2; Concat t1,c_6,t3 axis=0; Reshape x,t4"},
		{"float[b, s, 6]", "Shape x; Reshape y,t0"},
		{"int64[]", "Shape x; Gather t0,i_1"},
		{"int64[1]", "Shape x; Gather t0,c_1"},
		{"int64[2]", "Shape x start=-2"},
		{"int64[p]", "Shape v; Gather t0,i_0; Shape x; Gather t2,i_1; Sub t1,t3; Range i_0,t4,i_1"},
		{"int64[s]", "Shape y; Gather t0,i_1; Shape v; Gather t2,i_0; Range t1,t3,i_1"},
		{"int64[s]", "Shape y; Slice t0,c_1,c_2; Slice v,t1,c_9223372036854775807,c_0"},
		{"int64[min(1, p + s)]", "Slice v,c_-1,c_9223372036854775807,c_0"}, // 0 or 1
		{"float[b, max(0, s - 1), 6]", "Slice x,c_1,c_9223372036854775807,c_1"},
		{"int64[-1]", "Shape x; Gather t0,i_1; Neg t1; Unsqueeze t2,c_0; Slice v,t3,c_9223372036854775807,c_0"}, // s may be 0
		{"float[b, -1, 6]", "Shape y; Slice t0,c_1,c_2; Slice x,t1,c_9223372036854775807,c_1"},                  // p may be more than s
		{"int64[max(0, p - s)]", "Shape x; Gather t0,i_1; Shape y; Gather t2,i_1; Range t1,t3,i_1"},
		{"int64[p + s]", "Max c_1,c_2,v"},
		{"int64[p + s]", "Max v"},
		{"float[-1]", "Mul c_4294967296,c_4294967296; ConstantOfShape t0"}, // more than 64 bits
		{"uint8[b, s, 6]", "QuantizeLinear x,x output_dtype=0"},
		{"float[b, -1, 6]", "Split x axis=1 num_outputs=3"}, // s may not divide by 3
		{"float[b, s, 6]", "Concat x,x,x axis=1; Split t0 axis=1 num_outputs=3"},
		{"float[b, s, 1]", "ReduceMean x,c_-1"},
		{"float[b, s]", "ReduceMax x,c_-1 keepdims=0"},
		{"float[]", "ReduceMean x keepdims=0"},
		{"float[b*s, 6]", "Flatten x axis=2"},
		{"float[b, s, 6]", "Shape x; Equal t0,c_-1; Where t1,c_1_1_1,t0; Expand x,t2"},
		{"float[b, -1, 6]", "Slice x,v,v,c_1"},
		{"float", "Reshape x,v"},
		{"float", "Unsqueeze x,v"},
		{"int64", "Gather x,c_1_1; Reshape c_1,c_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1_1; Gather t1,t1"}, // rank 66
		{"float[b, s, 2]", "Slice x,c_1,c_3,c_2"},
		{"float[b, s, 1]", "Slice x,c_-1,c_9223372036854775807,c_2"},
		{"float[b, s, 2]", "Split x axis=2 num_outputs=3"},
		{"float[b, 1, s, 6, 1]", "Unsqueeze x,c_1_-1"},
		{"float[b, s, 6]", "Unsqueeze x,c_0; Squeeze t0,c_0"},
		{"float[b, s, s]", "Transpose x perm=0,2,1; MatMul x,t0"},
		{"int64[b, s, 6]", "Cast x to=7"},
		{"float[b, 3*s, 6]", "Concat x,x,x axis=1"},
		{"float[b, s, 6]", "Shape x; ConstantOfShape t0"},
		{"int64[2, p + s]", "Expand v,c_2_1"},
		{"uint8[b, s, 6]", "QuantizeLinear x,x"},
		{"float[b, p + s, 6]", "Gather y,v axis=1"},
	} {
		m := program(c.nodes)
		if err := Infer(m); err != nil {
			t.Errorf("%s: %v", c.nodes, err)
		} else if got := described(m, "out"); got != c.want {
			t.Errorf("%s: %s, want %s", c.nodes, got, c.want)
		}
	}
}

func TestInferRefuses(t *testing.T) {
	for _, c := range []struct{ want, nodes string }{
		{"needs the type", "Einsum x,x; Relu t0"},
		{"dimensions 6 and 2 differ", "Transpose x perm=2,1,0; Slice t0,c_0,c_2,c_0; Transpose x perm=0,2,1; Slice t2,c_0,c_2,c_1; MatMul x,t3"},
		{"dimensions 6 and 5 differ", "Slice x,c_0,c_5,c_2; Add x,t0"},
		{"axis 3 of a tensor of rank 3", "Concat x,x axis=3"},
		{"inputs are float and int64", "Add x,v"},
		{"inputs are float and int64", "Where x,x,v"},
		{"[7] has 7", "Reshape c_1_2_3,c_7"},
		{"does not divide", "Reshape c_1_2_3,c_2_-1"},
		{"axis 2 of [b s 6] is not 1", "Squeeze x,c_2"},
		{"no order of the axes", "Transpose x perm=0,0,0"},
		{"index 5 of an axis of 2", "Gather c_1_2,i_5"},
		{"dimensions 6 and 3 differ", "Concat x,c_1_2_3 axis=0; Slice x,c_0,c_3,c_2; Concat x,t1 axis=1"},
		{"input 1 is missing", "Add x"},
		{"keeps dimension 3 of a tensor of rank 3", "Reshape x,c_0_0_0_0"},
		{"more than one -1", "Reshape x,c_-1_-1"},
	} {
		m := program(c.nodes)
		if err := Infer(m); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.nodes, err, c.want)
		}
		if got := described(m, "out"); got != "" {
			t.Errorf("%s: %s", c.nodes, got)
		}
	}
}

// Unknown operators are listed if another node needs them; a statement in the file
// lets the rest go on.
func TestInferGoesOn(t *testing.T) {
	m := program("Einsum x,x; Relu t0; Mish x; Relu t2")
	m.Graph().ValueInfo = append(m.Graph().ValueInfo, onnx.ValueInfo("t2", onnx.Float16, onnx.Sym("k")))
	m.Graph().Node = append(m.Graph().Node, onnx.Node("Celu", "celu", []string{"x"}, []string{"more"}))
	err := Infer(m)
	if err == nil || strings.Count(err.Error(), "not known") != 1 || !strings.Contains(err.Error(), "Einsum is not known") {
		t.Errorf("got %v", err) // nobody needs what Celu makes
	}
	if got := described(m, "out"); got != "float16[k]" {
		t.Errorf("out is %s", got)
	}
	m = program("Relu x")
	m.Graph().Output = append(m.Graph().Output, onnx.ValueInfo("out", onnx.Float32, onnx.Sym("b"), onnx.Sym("s"), onnx.Fixed(7)))
	if err := Infer(m); err == nil || !strings.Contains(err.Error(), "declared [b s 7] but is [b s 6]") {
		t.Errorf("got %v", err)
	}
	m, err = onnx.Load(filepath.Join("..", "testdata", "raw.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	if err := Infer(m); err != nil {
		t.Error(err)
	}
}

// program builds a graph from the text of the cases above. c_1_2 is the constant
// tensor [1, 2], i_1 the scalar 1.
func program(text string) *onnx.Model {
	m := onnx.New("g")
	g := m.Graph()
	g.Input = append(g.Input, onnx.ValueInfo("x", onnx.Float32, onnx.Sym("b"), onnx.Sym("s"), onnx.Fixed(6)),
		onnx.ValueInfo("y", onnx.Float32, onnx.Sym("b"), onnx.Sym("p"), onnx.Fixed(6)), onnx.ValueInfo("v", onnx.Int64, onnx.Sym("p + s")))
	lines := strings.Split(text, "; ")
	for i, line := range lines {
		words := strings.Fields(line)
		var inputs []string
		for _, in := range strings.Split(strings.Join(words[1:2], ""), ",") {
			inputs = append(inputs, in)
			if kind, values, ok := strings.Cut(in, "_"); ok {
				v := numbers(strings.Split(values, "_"))
				dims := []int64{int64(len(v))}
				if kind == "i" {
					dims = nil
				}
				m.SetWeight(onnx.Ints(in, dims, v...))
			}
		}
		out := []string{fmt.Sprintf("t%d", i)}
		if i == len(lines)-1 {
			out[0] = "out"
		}
		var attrs []any
		for _, a := range words[min(2, len(words)):] {
			name, value, _ := strings.Cut(a, "=")
			if v := numbers(strings.Split(value, ",")); name == "perm" {
				attrs = append(attrs, name, v)
			} else {
				attrs = append(attrs, name, v[0])
			}
			if name == "num_outputs" {
				out = append(out, "second", "third")
			}
		}
		g.Node = append(g.Node, onnx.Node(words[0], "", inputs, out, attrs...))
	}
	return m
}

func numbers(words []string) []int64 {
	var all []int64
	for _, w := range words {
		var n int64
		_, _ = fmt.Sscan(w, &n)
		all = append(all, n)
	}
	return all
}
