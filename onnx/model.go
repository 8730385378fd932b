package onnx

import (
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// The versions that trtforge writes. Opset 21 is the first with INT4 (FP16
// scales of QuantizeLinear need 19); IR version 10 is the one that came with it.
const (
	OpsetVersion = 21
	IRVersion    = 10
)

// Model is a graph and its weights. Proto holds everything but the weights'
// bytes: its initializers carry name, type and dims only. Treat a model that
// somebody else may hold as immutable and change a [Model.Clone].
type Model struct {
	Proto *onnxpb.ModelProto

	weights map[string]*Weight
	files   []io.Closer
}

// New is an empty model with trtforge's versions.
func New(graphName string) *Model {
	return &Model{
		Proto: &onnxpb.ModelProto{
			IrVersion:    IRVersion,
			ProducerName: "trtforge",
			OpsetImport:  []*onnxpb.OperatorSetIdProto{{Version: OpsetVersion}},
			Graph:        &onnxpb.GraphProto{Name: graphName},
		},
		weights: map[string]*Weight{},
	}
}

// Graph is the main graph.
func (m *Model) Graph() *onnxpb.GraphProto { return m.Proto.GetGraph() }

// Weight is the initializer of that name, or nil.
func (m *Model) Weight(name string) *Weight { return m.weights[name] }

// Weights visits all initializers in the graph's order.
func (m *Model) Weights(visit func(w *Weight) error) error {
	for _, t := range m.Graph().GetInitializer() {
		if err := visit(m.weights[t.GetName()]); err != nil {
			return err
		}
	}
	return nil
}

// SetWeight adds an initializer or replaces the one of its name.
func (m *Model) SetWeight(w *Weight) {
	header := &onnxpb.TensorProto{Name: w.Name, DataType: int32(w.Type), Dims: w.Dims}
	g := m.Graph()
	if _, known := m.weights[w.Name]; known {
		for i, t := range g.Initializer {
			if t.GetName() == w.Name {
				g.Initializer[i] = header
			}
		}
	} else {
		g.Initializer = append(g.Initializer, header)
	}
	m.weights[w.Name] = w
}

// Opset is the version of the default operator set that the model imports; 0
// where it imports none.
func (m *Model) Opset() int64 {
	for _, o := range m.Proto.GetOpsetImport() {
		if Builtin(o) {
			return o.GetVersion()
		}
	}
	return 0
}

// Clone copies the graph and shares the weights' bytes. The copy reads from
// the original's files, so the original is closed last.
func (m *Model) Clone() *Model {
	c := &Model{Proto: proto.Clone(m.Proto).(*onnxpb.ModelProto), weights: make(map[string]*Weight, len(m.weights))}
	for name, w := range m.weights {
		c.weights[name] = w
	}
	return c
}

// Prune removes nodes that no graph output depends on, then initializers and
// value infos that no node uses.
func (m *Model) Prune() {
	g := m.Graph()
	needed := map[string]bool{}
	for _, o := range g.Output {
		needed[o.GetName()] = true
	}
	kept := make([]*onnxpb.NodeProto, 0, len(g.Node))
	for i := len(g.Node) - 1; i >= 0; i-- {
		n := g.Node[i]
		if !anyOf(needed, n.Output) {
			continue
		}
		kept = append(kept, n)
		for _, in := range n.Input {
			needed[in] = true
		}
		for _, a := range n.Attribute {
			captured(a, needed)
		}
	}
	for i, j := 0, len(kept)-1; i < j; i, j = i+1, j-1 {
		kept[i], kept[j] = kept[j], kept[i]
	}
	g.Node = kept
	produced := map[string]bool{}
	for _, n := range kept {
		for _, out := range n.Output {
			produced[out] = true
		}
	}
	// Old graphs list weights among inputs, where one without data would be asked for.
	g.Input = filter(g.Input, func(v *onnxpb.ValueInfoProto) bool {
		return needed[v.GetName()] || m.weights[v.GetName()] == nil
	})
	g.Initializer = filter(g.Initializer, func(t *onnxpb.TensorProto) bool {
		if !needed[t.GetName()] {
			delete(m.weights, t.GetName())
		}
		return needed[t.GetName()]
	})
	g.ValueInfo = filter(g.ValueInfo, func(v *onnxpb.ValueInfoProto) bool { return produced[v.GetName()] })
}

// captured notes every name that a subgraph may take from outside.
func captured(a *onnxpb.AttributeProto, needed map[string]bool) {
	for _, g := range subgraphs(a) {
		for _, n := range g.GetNode() {
			for _, in := range n.GetInput() {
				needed[in] = true
			}
			for _, sub := range n.GetAttribute() {
				captured(sub, needed)
			}
		}
		for _, o := range g.GetOutput() {
			needed[o.GetName()] = true
		}
	}
}

func anyOf(set map[string]bool, names []string) bool {
	for _, n := range names {
		if set[n] {
			return true
		}
	}
	return false
}

func filter[T any](all []T, keep func(T) bool) []T {
	var kept []T
	for _, x := range all {
		if keep(x) {
			kept = append(kept, x)
		}
	}
	return kept
}

// Own makes [Model.Close] close c too: a file that weights are read from.
func (m *Model) Own(c io.Closer) { m.files = append(m.files, c) }

// Files are the paths of the files that weights are read from.
func (m *Model) Files() (paths []string) {
	for _, f := range m.files {
		if f, ok := f.(*os.File); ok {
			paths = append(paths, f.Name())
		}
	}
	return paths
}

// Close closes the files that the weights are read from.
func (m *Model) Close() error {
	var errs []error
	for _, f := range m.files {
		errs = append(errs, f.Close())
	}
	m.files = nil
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing model: %w", err)
	}
	return nil
}
