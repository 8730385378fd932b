package onnx

import (
	"errors"
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Check reports every violation of the format that a runtime would stumble over,
// as class input: names that are used before they are made or made twice, outputs
// that nobody makes, operators of domains that TensorRT does not parse, weights
// whose data do not fit their shape. Subgraphs see the names around them.
func Check(m *Model) error {
	c := &checker{known: map[string]bool{"": true}}
	if m.Opset() == 0 {
		c.bad("the model imports no default operator set")
	}
	g := m.Graph()
	for _, t := range g.GetInitializer() {
		w := m.weights[t.GetName()]
		if w == nil || w.Data == nil {
			c.bad("weight %q has no data", t.GetName())
			continue
		}
		c.define("weight", t.GetName())
		if err := fits(w, w.Data); err != nil {
			c.bad("weight %q: %w", w.Name, err)
		}
	}
	c.graph(g, m.weights)
	return fault.Wrap(fault.Input, "checking graph", g.GetName(), errors.Join(c.errs...), "export the model again")
}

type checker struct {
	known map[string]bool // values that exist at this point
	errs  []error
}

func (c *checker) bad(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// define adds a value to what is known.
func (c *checker) define(what, name string) {
	if name == "" {
		return // an optional output that is left out
	}
	if c.known[name] {
		c.bad("%s %q: the name is taken", what, name)
	}
	c.known[name] = true
}

// graph checks inputs, nodes in their order, and outputs.
func (c *checker) graph(g *onnxpb.GraphProto, weights map[string]*Weight) {
	for _, in := range g.GetInput() {
		if weights[in.GetName()] == nil { // old graphs list weights among inputs
			c.define("input", in.GetName())
		}
	}
	for i, n := range g.GetNode() {
		c.node(i, n)
	}
	for _, out := range g.GetOutput() {
		if !c.known[out.GetName()] {
			c.bad("output %q: no node makes it", out.GetName())
		}
	}
}

func (c *checker) node(i int, n *onnxpb.NodeProto) {
	name := n.GetName()
	if name == "" {
		name = fmt.Sprintf("number %d", i)
	}
	if d := n.GetDomain(); d != "" && d != "ai.onnx" {
		c.bad("node %s: operator %s is of domain %q, which TensorRT does not parse", name, n.GetOpType(), d)
	}
	for _, in := range n.GetInput() {
		if !c.known[in] {
			c.bad("node %s: input %q is not made before it", name, in)
		}
	}
	for _, a := range n.GetAttribute() {
		for _, sub := range subgraphs(a) {
			c.nested(sub)
		}
	}
	for _, out := range n.GetOutput() {
		c.define("node "+name+": output", out)
	}
}

// nested checks a subgraph, whose own names end with it.
func (c *checker) nested(g *onnxpb.GraphProto) {
	inner := &checker{known: make(map[string]bool, len(c.known))}
	for name := range c.known {
		inner.known[name] = true
	}
	for _, t := range g.GetInitializer() {
		inner.define("weight", t.GetName())
	}
	inner.graph(g, nil)
	c.errs = append(c.errs, inner.errs...)
}

// subgraphs are the graphs that an attribute holds.
func subgraphs(a *onnxpb.AttributeProto) []*onnxpb.GraphProto {
	if a.GetG() == nil {
		return a.GetGraphs()
	}
	return append([]*onnxpb.GraphProto{a.GetG()}, a.GetGraphs()...)
}
