package rtx

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// TestQuantizedAsOthersDo: PyTorch and ModelOpt store weights by output channel and
// turn them behind DequantizeLinear, and nodes need no names. What became of such
// products is judged like that of ours.
func TestQuantizedAsOthersDo(t *testing.T) {
	b := builder(t)
	m := decoder(t)
	q := half(t, integer(t, m))
	if _, err := b.Build(t.Context(), asked(t, turned(t, q), engine.INT8), t.TempDir(), progress.Noop); err != nil {
		t.Error(err)
	}
	if _, err := b.Build(t.Context(), asked(t, nameless(q), engine.INT8), t.TempDir(), progress.Noop); err != nil {
		t.Error(err)
	}
	_, err := b.Build(t.Context(), asked(t, turned(t, half(t, wrongAxis(t, integer(t, m), 1))), engine.INT8), t.TempDir(), progress.Noop)
	if fault.Exit(err) != 5 || !strings.Contains(err.Error(), "1 of 4") || !strings.Contains(err.Error(), "/h.0/attn/c_attn/MatMul") {
		t.Errorf("a wrong axis behind a Transpose: %v", err)
	}
}

// turned is a copy of m whose quantized weights are stored by their columns.
func turned(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	m = m.Clone()
	g := m.Graph()
	var nodes []*onnxpb.NodeProto
	for _, n := range g.GetNode() {
		nodes = append(nodes, n)
		w := m.Weight(n.Input[0])
		if n.GetOpType() != "DequantizeLinear" || w == nil || len(w.Dims) != 2 {
			continue
		}
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		rows, columns := int(w.Dims[0]), int(w.Dims[1])
		other := make(onnx.Memory, len(b))
		for i := range b {
			other[i%columns*rows+i/columns] = b[i]
		}
		m.SetWeight(&onnx.Weight{Name: w.Name, Type: w.Type, Dims: []int64{w.Dims[1], w.Dims[0]}, Data: other})
		onnx.Attr(n, "axis").I = 1 - onnx.AttrInt(n, "axis", 1)
		out := n.Output[0]
		n.Output = []string{out + "_columns"}
		nodes = append(nodes, onnx.Node("Transpose", n.GetName()+"/turn", n.Output, []string{out}, "perm", []int64{1, 0}))
	}
	g.Node = nodes
	g.ValueInfo = nil
	return m
}

// nameless is a copy of m whose nodes have no names.
func nameless(m *onnx.Model) *onnx.Model {
	m = m.Clone()
	for _, n := range m.Graph().GetNode() {
		n.Name = ""
	}
	return m
}
