package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Check reports every violation of the format that a runtime would stumble over,
// as class input: names that are used before they are made or made twice, outputs
// that nobody makes, inputs without a type, operators of domains that TensorRT
// does not parse, weights whose data do not fit their shape. Subgraphs see the
// names around them.
func Check(m *Model) error {
	c := &checker{known: map[string]bool{"": true}, functions: map[string]bool{}}
	for _, f := range m.Proto.GetFunctions() {
		c.functions[f.GetDomain()+"."+f.GetName()] = true
	}
	if m.Opset() == 0 {
		c.bad("the model imports no default operator set")
	}
	if m.Proto.GetIrVersion() == 0 {
		c.bad("the model states no IR version")
	}
	g := m.Graph()
	for i, t := range g.GetInitializer() {
		c.define("weight", t.GetName())
		w := m.weights[t.GetName()]
		switch {
		case t.GetName() == "":
			c.bad("weight number %d has no name", i)
		case w == nil || w.Data == nil:
			c.bad("weight %q has no data", t.GetName())
		default:
			if err := fits(w, w.Data); err != nil {
				c.bad("weight %q: %w", w.Name, err)
			}
		}
	}
	if len(g.GetOutput()) == 0 {
		c.bad("the graph has no output")
	}
	for _, in := range g.GetInput() {
		if m.weights[in.GetName()] == nil && in.GetType().GetValue() == nil {
			c.bad("input %q has no type", in.GetName())
		}
	}
	c.graph(g, m.weights)
	return fault.Wrap(fault.Input, "checking graph", g.GetName(), errors.Join(c.errs...), "export the model again")
}

// checker looks at one graph; outer at the graph around it.
type checker struct {
	known     map[string]bool // values that exist at this point
	functions map[string]bool // operators that the model defines itself
	outer     *checker
	errs      []error
}

func (c *checker) bad(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// knows tells whether a value exists here or in the graphs around.
func (c *checker) knows(name string) bool {
	for ; c != nil; c = c.outer {
		if c.known[name] {
			return true
		}
	}
	return false
}

// define adds a value to what is known.
func (c *checker) define(what, name string) {
	if name == "" {
		return // an optional output that is left out
	}
	if c.knows(name) {
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
	if hasField(g.ProtoReflect().GetUnknown(), fieldSparse) {
		c.bad("graph %q has sparse weights, which TensorRT does not parse", g.GetName())
	}
	for i, n := range g.GetNode() {
		c.node(i, n)
	}
	for _, out := range g.GetOutput() {
		if out.GetName() == "" || !c.knows(out.GetName()) {
			c.bad("output %q: no node makes it", out.GetName())
		}
	}
}

func (c *checker) node(i int, n *onnxpb.NodeProto) {
	name := n.GetName()
	if name == "" {
		name = fmt.Sprintf("number %d", i)
	}
	if n.GetOpType() == "" {
		c.bad("node %s has no operator", name)
	}
	if !Builtin(n) && !c.functions[Operator(n)] {
		c.bad("node %s: operator %s is of domain %q, which TensorRT does not parse", name, n.GetOpType(), n.GetDomain())
	}
	for _, in := range n.GetInput() {
		if !c.knows(in) {
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
	inner := &checker{known: map[string]bool{}, functions: c.functions, outer: c}
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

// fieldSparse is sparse_initializer of GraphProto, which onnxpb leaves out.
const fieldSparse = 15

// hasField tells whether a field is among a message's unknown ones.
func hasField(unknown []byte, want protowire.Number) bool {
	for len(unknown) > 0 {
		num, _, n := protowire.ConsumeField(unknown)
		if n < 0 {
			return false
		}
		if num == want {
			return true
		}
		unknown = unknown[n:]
	}
	return false
}
