package half

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// sketch draws random graphs over 4 x 4 matrices.
type sketch struct {
	r      *rand.Rand
	m      *onnx.Model
	values []string
}

// pick is a value that exists.
func (s *sketch) pick() string { return s.values[s.r.IntN(len(s.values))] }

// node adds a node and returns its first output.
func (s *sketch) node(op string, inputs []string, attrs ...any) string {
	g := s.m.Graph()
	out := fmt.Sprintf("v%d", len(g.GetNode()))
	name := "n" + out
	if s.r.IntN(8) == 0 {
		name = "" // nodes need no names
	}
	g.Node = append(g.Node, onnx.Node(op, name, inputs, []string{out}, attrs...))
	return out
}

// weight adds a constant, at times one that no narrow type holds.
func (s *sketch) weight(dims ...int64) string {
	n, err := onnx.Elements(dims)
	if err != nil {
		panic(err)
	}
	values := make([]float32, n)
	scale := []float32{1, 1, 1, 1, 1e6, 1e-9, -3e38}[s.r.IntN(7)]
	for i := range values {
		values[i] = scale * (0.5 + s.r.Float32()/2)
	}
	name := fmt.Sprintf("w%d", len(s.m.Graph().GetInitializer()))
	s.m.SetWeight(onnx.Floats(name, dims, values...))
	return name
}

// grow adds an operator of a random kind, with what belongs to it.
func (s *sketch) grow() {
	unary := []string{"Neg", "Abs", "Tanh", "Erf", "Sigmoid", "Relu", "Softmax", "LogSoftmax", "Transpose", "Identity", "Sin", "Cos", "Gelu", "Floor", "Exp", "Softplus", "Round"}
	binary := []string{"Add", "Sub", "Mul", "Div", "Max", "Min", "MatMul", "Pow"}
	var out string
	switch s.r.IntN(12) {
	case 0, 1:
		out = s.node(unary[s.r.IntN(len(unary))], []string{s.pick()})
	case 2, 3:
		out = s.node(binary[s.r.IntN(len(binary))], []string{s.pick(), s.pick()})
	case 4:
		out = s.node([]string{"Add", "Mul", "Max"}[s.r.IntN(3)], []string{s.pick(), s.weight()})
	case 5:
		out = s.node("LayerNormalization", []string{s.pick(), s.weight(4), s.weight(4)}, "axis", -1)
	case 6:
		x := s.pick()
		mean := s.node("ReduceMean", []string{x, "last"}, "keepdims", 1)
		out = s.node("Sub", []string{x, mean})
	case 7:
		larger := s.node("Greater", []string{s.pick(), s.pick()})
		out = s.node("Where", []string{larger, s.pick(), s.pick()})
	case 8:
		whole := s.node("Cast", []string{s.node("Clip", []string{s.pick(), "", s.weight()})}, "to", onnx.Int64)
		out = s.node("Cast", []string{whole}, "to", onnx.Float32)
	case 9:
		out = s.node("Gemm", []string{s.pick(), s.weight(4, 4), s.weight(4)}, "transB", s.r.IntN(2))
	case 10:
		halves := s.node("Split", []string{s.pick()}, "axis", 1, "num_outputs", 2)
		n := s.m.Graph().GetNode()
		n[len(n)-1].Output = append(n[len(n)-1].Output, halves+"b")
		out = s.node("Concat", []string{halves + "b", halves}, "axis", 1)
	case 11:
		out = s.product(s.pick())
		if s.r.IntN(2) == 0 {
			out = s.node("Add", []string{out, s.product(s.pick())})
		}
	}
	s.values = append(s.values, out)
}

// product is an INT8 matrix product.
func (s *sketch) product(x string) string {
	q := s.node("QuantizeLinear", []string{x, "scale", "zero"})
	return s.node("MatMul", []string{s.node("DequantizeLinear", []string{q, "scale", "zero"}), s.node("DequantizeLinear", []string{"levels", "scales"}, "axis", 1)})
}

// sketched is a random graph, and options that fit it.
func sketched(seed uint64) (*onnx.Model, Options, error) {
	s := &sketch{r: rand.New(rand.NewPCG(seed, 7)), m: onnx.New("sketch"), values: []string{"x", "y"}}
	square := []onnx.Dim{onnx.Fixed(4), onnx.Fixed(4)}
	g := s.m.Graph()
	g.Input = []*onnxpb.ValueInfoProto{onnx.ValueInfo("x", onnx.Float32, square...), onnx.ValueInfo("y", onnx.Float32, square...)}
	s.m.SetWeight(onnx.Ints("last", []int64{1}, -1))
	s.m.SetWeight(onnx.Floats("scale", nil, 0.1))
	s.m.SetWeight(onnx.Floats("scales", []int64{4}, 0.1, 0.2, 0.3, 0.4))
	s.m.SetWeight(&onnx.Weight{Name: "zero", Type: onnx.Int8, Data: onnx.Memory{0}})
	s.m.SetWeight(&onnx.Weight{Name: "levels", Type: onnx.Int8, Dims: []int64{4, 4}, Data: onnx.Memory("0123456789abcdef")})
	for range 2 + s.r.IntN(12) {
		s.grow()
	}
	o := Options{Type: []onnx.DType{onnx.Float16, onnx.BFloat16}[s.r.IntN(2)], Table: &calib.Table{Ranges: map[string]calib.Range{}}, Single: map[string]bool{}}
	names, err := Ranged(s.m)
	if err != nil {
		return nil, o, err
	}
	for _, name := range names {
		o.Table.Ranges[name] = calib.Range{Hi: []float32{1, 1, 1e5}[s.r.IntN(3)]}
	}
	for _, n := range g.GetNode() {
		o.Single[graph.NodeName(n)] = s.r.IntN(8) == 0
	}
	last := s.values[len(s.values)-1]
	g.Output = append(g.Output, onnx.ValueInfo(last, onnx.Float32, square...))
	if other := s.values[2+s.r.IntN(len(s.values)-2)]; other != last {
		g.Output = append(g.Output, onnx.ValueInfo(other, onnx.Float32, square...))
		o.IO = map[string]onnx.DType{other: onnx.BFloat16, "x": onnx.Float32}
	}
	return s.m, o, nil
}

// consistent tells what is wrong with the types of a converted graph.
func consistent(m *onnx.Model, o Options) error {
	types, err := graph.ElementTypes("testing", m)
	if err != nil {
		return err
	}
	g := m.Graph()
	for _, v := range append(g.GetValueInfo(), g.GetOutput()...) {
		if stated, _ := onnx.TypeOf(v); stated != types[v.GetName()] {
			return fmt.Errorf("%s is stated as %s and is %s", v.GetName(), stated, types[v.GetName()])
		}
	}
	for _, v := range append(g.GetInput(), g.GetOutput()...) {
		if want, asked := o.IO[v.GetName()]; asked && types[v.GetName()] != want {
			return fmt.Errorf("%s is %s, asked was %s", v.GetName(), types[v.GetName()], want)
		}
	}
	return onnx.Check(m)
}

// TestRandomGraphsInHalfPrecision has ONNX's strict checker and its reference
// implementation take random graphs: no operator gets two types, and every
// value is of the type that the checker infers.
func TestRandomGraphsInHalfPrecision(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for seed := range uint64(150) {
		m, o, err := sketched(seed)
		if err != nil {
			t.Fatal(err)
		}
		h := typed(t, m, o)
		if err := consistent(h, o); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		paths = append(paths, quanttest.Saved(t, h, dir, fmt.Sprint("seed", seed)))
	}
	list := filepath.Join(dir, "list")
	if err := os.WriteFile(list, []byte(strings.Join(paths, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range quanttest.Oracle(t, "types", list) {
		if len(line) > 0 {
			t.Errorf("%s", line)
		}
	}
}

// FuzzHalf holds the conversion of graphs of any seed to consistent types.
func FuzzHalf(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		m, o, err := sketched(seed)
		if err != nil {
			t.Fatal(err)
		}
		h, _, err := Convert(m, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := consistent(h, o); err != nil {
			t.Error(err)
		}
	})
}
