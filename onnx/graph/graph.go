package graph

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Index answers who makes and who uses a value of a graph.
type Index struct {
	Producer  map[string]*onnxpb.NodeProto
	Consumers map[string][]*onnxpb.NodeProto
	Inputs    map[string]bool
	Outputs   map[string]bool
}

// NewIndex indexes a graph as it is now: later changes do not reach it.
func NewIndex(g *onnxpb.GraphProto) *Index {
	x := &Index{
		Producer: map[string]*onnxpb.NodeProto{}, Consumers: map[string][]*onnxpb.NodeProto{},
		Inputs: map[string]bool{}, Outputs: map[string]bool{},
	}
	for _, n := range g.GetNode() {
		for _, out := range n.GetOutput() {
			x.Producer[out] = n
		}
		for _, in := range n.GetInput() {
			if in != "" && !slices.Contains(x.Consumers[in], n) {
				x.Consumers[in] = append(x.Consumers[in], n)
			}
		}
	}
	for _, v := range g.GetInput() {
		x.Inputs[v.GetName()] = true
	}
	for _, v := range g.GetOutput() {
		x.Outputs[v.GetName()] = true
	}
	return x
}

// Sources are the nodes that make n's inputs, each once.
func (x *Index) Sources(n *onnxpb.NodeProto) []*onnxpb.NodeProto {
	var all []*onnxpb.NodeProto
	for _, in := range n.GetInput() {
		if p := x.Producer[in]; p != nil && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}

// Users are the nodes that take n's outputs.
func (x *Index) Users(n *onnxpb.NodeProto) []*onnxpb.NodeProto {
	var all []*onnxpb.NodeProto
	for _, out := range n.GetOutput() {
		all = append(all, x.Consumers[out]...)
	}
	return all
}

// Names hands out value and node names that the graph does not have yet.
type Names map[string]bool

// UsedNames are the names of everything in a graph.
func UsedNames(g *onnxpb.GraphProto) Names {
	used := Names{}
	for _, n := range g.GetNode() {
		used[n.GetName()] = true
		for _, v := range slices.Concat(n.GetInput(), n.GetOutput()) {
			used[v] = true
		}
	}
	for _, t := range g.GetInitializer() {
		used[t.GetName()] = true
	}
	for _, v := range slices.Concat(g.GetInput(), g.GetOutput()) {
		used[v.GetName()] = true
	}
	return used
}

// Take is want, or want with a number where that is taken.
func (u Names) Take(want string) string {
	name := want
	for i := 2; u[name]; i++ {
		name = fmt.Sprintf("%s.%d", want, i)
	}
	u[name] = true
	return name
}

// NodeName names a node in lists: its name, or its first output where it has none.
func NodeName(n *onnxpb.NodeProto) string {
	if n.GetName() != "" || len(n.GetOutput()) == 0 {
		return n.GetName()
	}
	return n.GetOutput()[0]
}

// Label names a node for people: its name, or its operator and first output.
func Label(n *onnxpb.NodeProto) string {
	if n.GetName() != "" {
		return fmt.Sprintf("node %q", n.GetName())
	}
	out := ""
	if len(n.GetOutput()) > 0 {
		out = n.GetOutput()[0]
	}
	return fmt.Sprintf("%s node that makes %q", n.GetOpType(), out)
}
