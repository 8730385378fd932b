package export

import (
	"github.com/trtforge/trtforge/onnx"
)

// builder appends nodes to a graph. A value is its name; a node's output is
// named after the node.
type builder struct {
	m *onnx.Model
}

// op adds a node of one output.
func (b *builder) op(op, name string, inputs []string, attrs ...any) string {
	return b.ops(op, name, inputs, 1, attrs...)[0]
}

// ops adds a node of several outputs.
func (b *builder) ops(op, name string, inputs []string, outputs int, attrs ...any) []string {
	names := make([]string, outputs)
	for i := range names {
		names[i] = name + "_output_" + string(rune('0'+i))
	}
	g := b.m.Graph()
	g.Node = append(g.Node, onnx.Node(op, name, inputs, names, attrs...))
	return names
}

// ints is a constant of one dimension.
func (b *builder) ints(name string, values ...int64) string {
	b.m.SetWeight(onnx.Ints(name, []int64{int64(len(values))}, values...))
	return name
}

// scalarInt is a constant without dimensions.
func (b *builder) scalarInt(name string, value int64) string {
	b.m.SetWeight(onnx.Ints(name, []int64{}, value))
	return name
}

// scalar is a float constant without dimensions.
func (b *builder) scalar(name string, value float32) string {
	b.m.SetWeight(onnx.Floats(name, []int64{}, value))
	return name
}

// input declares a graph input.
func (b *builder) input(name string, t onnx.DType, dims ...onnx.Dim) string {
	g := b.m.Graph()
	g.Input = append(g.Input, onnx.ValueInfo(name, t, dims...))
	return name
}

// output declares a graph output and gives the last node's only output its name.
func (b *builder) output(name string, t onnx.DType, dims ...onnx.Dim) string {
	g := b.m.Graph()
	g.Node[len(g.Node)-1].Output = []string{name}
	g.Output = append(g.Output, onnx.ValueInfo(name, t, dims...))
	return name
}
