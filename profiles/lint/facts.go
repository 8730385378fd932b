package lint

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Graph is what the rules know of a graph.
type Graph struct {
	Nodes       int
	Opset       int64
	Ops         map[string]int    // nodes by operator, "Add" or "com.microsoft.FusedMatMul"; branches included
	Branches    []string          // names of If nodes
	Inputs      []contract.Tensor // those that are no weights; what varies is contract.Free
	ShapeInputs []string          // inputs whose contents decide shapes
	Int64       []Int64           // constants beyond 32 bits
	Tables      []Table           // constants that are sliced to a length

	nodes []node
}

// Int64 is a constant that holds a value beyond 32 bits.
type Int64 struct {
	Name     string
	Value    int64
	SliceEnd bool // it only says where slices begin and end
}

// Table is a constant that a Slice cuts to a length which varies.
type Table struct {
	Name string
	Rows int64
}

type node struct {
	op      string
	in, out []string
}

// Facts collects what the rules ask of a graph. It reads small integer
// constants; what cannot be read is not judged.
func Facts(m *onnx.Model) *Graph {
	g := &Graph{Ops: map[string]int{}, Opset: m.Opset()}
	g.count(m.Graph(), maxNested)
	for _, v := range m.Graph().GetInput() {
		if m.Weight(v.GetName()) == nil {
			g.Inputs = append(g.Inputs, declared(v))
		}
	}
	for _, n := range m.Graph().GetNode() {
		g.nodes = append(g.nodes, node{onnx.Operator(n), n.GetInput(), n.GetOutput()})
	}
	c := constants(m)
	g.ShapeInputs = g.shapeInputs()
	g.Int64 = g.large(c)
	g.Tables = g.tables(m, c)
	return g
}

const maxNested = 32 // branches inside branches that are counted

func (g *Graph) count(graph *onnxpb.GraphProto, depth int) {
	for _, n := range graph.GetNode() {
		g.Nodes++
		g.Ops[onnx.Operator(n)]++
		if n.GetOpType() == "If" {
			g.Branches = append(g.Branches, n.GetName())
		}
		for _, a := range n.GetAttribute() {
			if depth > 0 && a.GetG() != nil {
				g.count(a.GetG(), depth-1)
			}
		}
	}
}

// declared is an input as the graph states it, without a meaning. A scalar is
// one fixed size's worth: no dimensions.
func declared(v *onnxpb.ValueInfoProto) contract.Tensor {
	typ, dims := onnx.TypeOf(v)
	t := contract.Tensor{Name: v.GetName(), Kind: contract.KindOther, Type: typ.String()}
	for _, d := range dims {
		switch {
		case d.Symbol != "" || d.Size <= 0:
			t.Dims = append(t.Dims, contract.Dim{Role: contract.Free, Symbol: d.Symbol})
		default:
			t.Dims = append(t.Dims, contract.Dim{Role: contract.Static, Size: d.Size})
		}
	}
	return t
}

// shaping are the inputs of operators by which their contents decide a shape.
var shaping = map[string][]int{
	"Reshape": {1}, "Expand": {1}, "Tile": {1}, "ConstantOfShape": {0}, "Range": {0, 1, 2}, "Slice": {1, 2},
	"Resize": {2, 3}, "Pad": {1}, "TopK": {1}, "OneHot": {1}, "Split": {1},
}

// shapeInputs are the graph inputs that flow into such a place, whatever is
// computed on the way, but through no Shape or Size: a shape's shape is free.
func (g *Graph) shapeInputs() (names []string) {
	maker := map[string]int{}
	for i, n := range g.nodes {
		for _, out := range n.out {
			maker[out] = i
		}
	}
	var open []string
	for _, n := range g.nodes {
		for _, slot := range shaping[n.op] {
			if slot < len(n.in) && n.in[slot] != "" {
				open = append(open, n.in[slot])
			}
		}
	}
	seen := map[string]bool{}
	for len(open) > 0 {
		name := open[len(open)-1]
		open = open[:len(open)-1]
		if seen[name] {
			continue
		}
		seen[name] = true
		if i, made := maker[name]; made && g.nodes[i].op != "Shape" && g.nodes[i].op != "Size" {
			open = append(open, g.nodes[i].in...)
		}
	}
	for _, t := range g.Inputs {
		if seen[t.Name] && len(t.Dims) <= 1 && (t.Type == "int64" || t.Type == "int32") {
			names = append(names, t.Name)
		}
	}
	return names
}

// maxConstant bounds what is read of a constant: axes, ends and shapes are short.
const maxConstant = 4096

// constants are the short INT64 constants of a graph, initializers and nodes.
func constants(m *onnx.Model) map[string][]int64 {
	all := map[string][]int64{}
	for _, t := range m.Graph().GetInitializer() {
		w := m.Weight(t.GetName())
		if w == nil || w.Type != onnx.Int64 || w.Data == nil || w.Data.Size() > 8*maxConstant {
			continue
		}
		if b, err := w.Bytes(); err == nil {
			all[w.Name] = integers(b)
		}
	}
	for _, n := range m.Graph().GetNode() {
		if n.GetOpType() != "Constant" || len(n.GetOutput()) == 0 {
			continue
		}
		for _, a := range n.GetAttribute() {
			switch t := a.GetT(); {
			case a.GetName() == "value_int":
				all[n.GetOutput()[0]] = []int64{a.GetI()}
			case a.GetName() == "value_ints" && len(a.GetInts()) <= maxConstant:
				all[n.GetOutput()[0]] = a.GetInts()
			case onnx.DType(t.GetDataType()) == onnx.Int64 && len(t.GetInt64Data()) > 0 && len(t.GetInt64Data()) <= maxConstant:
				all[n.GetOutput()[0]] = t.GetInt64Data()
			case onnx.DType(t.GetDataType()) == onnx.Int64 && len(t.GetRawData()) <= 8*maxConstant:
				all[n.GetOutput()[0]] = integers(t.GetRawData())
			}
		}
	}
	return all
}

func integers(b []byte) []int64 {
	all := make([]int64, len(b)/8)
	for i := range all {
		all[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return all
}

// large are the constants beyond 32 bits, in the order of their first use.
func (g *Graph) large(c map[string][]int64) (all []Int64) {
	at := map[string]int{}
	for _, n := range g.nodes {
		for slot, in := range n.in {
			i, known := at[in]
			if !known {
				v, beyond := extreme(c[in])
				if !beyond {
					continue
				}
				i = len(all)
				at[in] = i
				all = append(all, Int64{Name: in, Value: v, SliceEnd: true})
			}
			all[i].SliceEnd = all[i].SliceEnd && n.op == "Slice" && (slot == 1 || slot == 2)
		}
	}
	return all
}

func extreme(values []int64) (v int64, beyond bool) {
	for _, v := range values {
		if v > math.MaxInt32 || v < math.MinInt32 {
			return v, true
		}
	}
	return 0, false
}

// tables are the initializers that a Slice of varying end cuts along one axis.
func (g *Graph) tables(m *onnx.Model, c map[string][]int64) (all []Table) {
	for _, n := range g.nodes {
		if n.op != "Slice" || len(n.in) < 3 {
			continue
		}
		w := m.Weight(n.in[0])
		if _, fixed := c[n.in[2]]; w == nil || fixed || m.Weight(n.in[2]) != nil {
			continue
		}
		axes := []int64{0}
		if len(n.in) > 3 {
			axes = c[n.in[3]]
		}
		if len(axes) != 1 {
			continue
		}
		axis := axes[0]
		if axis < 0 {
			axis += int64(len(w.Dims))
		}
		if axis < 0 || axis >= int64(len(w.Dims)) {
			continue
		}
		if t := (Table{w.Name, w.Dims[axis]}); !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}
