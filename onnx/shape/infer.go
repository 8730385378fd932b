package shape

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Infer computes the type and shape of every value of m's graph, and of the
// branches of an If, from its inputs and weights, and writes them to value_info.
// Dimensions are sizes, symbols of the inputs, or expressions of those such as
// "past_sequence_length + sequence_length"; a dimension that depends on the data
// is left open. Small integer tensors are followed through the graph, so shapes
// that it computes itself are known.
//
// Symbols may be zero: the last position of a sequence has size
// "min(1, sequence_length)". Where value_info or an output states a size for
// what is open or symbolic, that stands; otherwise what was stated before is
// replaced. m is changed in place, and its nodes must be in order ([onnx.Check]).
//
// The error, of class input, lists every node whose inputs contradict each other,
// every output that contradicts what it is declared as, and every operator that
// is not known (of another domain, or rare in language models) and whose output
// another node needs to be typed. Everything else is filled in all the same.
func Infer(m *onnx.Model) error {
	i := &inferrer{opset: m.Opset(), reported: map[*value]bool{}}
	s := weights(m)
	i.graph(m.Graph(), s)
	return fault.Wrap(fault.Input, "inferring shapes of", m.Graph().GetName(), errors.Join(i.errs...), "export the model again")
}

type inferrer struct {
	opset    int64
	reported map[*value]bool // values that somebody missed
	errs     []error
	trace    *tracer // collects equations and leaves the graph as it is; nil in Infer
}

func (i *inferrer) bad(format string, args ...any) {
	i.errs = append(i.errs, fmt.Errorf(format, args...))
}

// scope is the values of a graph; outer are those of the graph around it.
type scope struct {
	values map[string]*value
	stated map[string]*onnxpb.ValueInfoProto
	outer  *scope
}

func newScope(outer *scope) *scope {
	return &scope{values: map[string]*value{}, stated: map[string]*onnxpb.ValueInfoProto{}, outer: outer}
}

// weights is the scope of the main graph, with nothing in it but m's weights.
func weights(m *onnx.Model) *scope {
	s := newScope(nil)
	_ = m.Weights(func(w *onnx.Weight) error {
		s.values[w.Name] = fromWeight(w)
		return nil
	})
	return s
}

// find is the value of that name; one that nobody made is not typed.
func (s *scope) find(name string) *value {
	for ; s != nil; s = s.outer {
		if v := s.values[name]; v != nil {
			return v
		}
	}
	return &value{}
}

// graph infers a graph whose weights are in s already.
func (i *inferrer) graph(g *onnxpb.GraphProto, s *scope) {
	for _, in := range g.GetInput() {
		if s.values[in.GetName()] == nil {
			s.values[in.GetName()] = fromInfo(in)
		}
	}
	if i.trace != nil {
		for k, n := range g.GetNode() {
			i.node(k, n, s)
		}
		return
	}
	for _, info := range slices.Concat(g.GetValueInfo(), g.GetOutput()) {
		s.stated[info.GetName()] = info
	}
	declared := map[string]bool{"": true}
	for _, out := range g.GetOutput() {
		declared[out.GetName()] = true
	}
	var infos []*onnxpb.ValueInfoProto
	for k, n := range g.GetNode() {
		i.node(k, n, s)
		for _, name := range n.GetOutput() {
			if v := s.values[name]; !declared[name] && (v.t != 0 || s.stated[name] != nil) {
				infos = append(infos, v.info(name, s.stated[name]))
			}
		}
	}
	g.ValueInfo = infos
	i.outputs(g, s)
}

// node infers a node's outputs.
func (i *inferrer) node(k int, n *onnxpb.NodeProto, s *scope) {
	at := &site{NodeProto: n, opset: i.opset, infer: i, scope: s}
	for _, name := range n.GetInput() {
		var v *value
		if name != "" {
			v = s.find(name)
		}
		at.in = append(at.in, v)
	}
	for range n.GetOutput() {
		at.out = append(at.out, &value{})
	}
	rule := ruleOf(n.GetOpType())
	if n.GetDomain() == contribDomain {
		rule = contrib(n.GetOpType())
	} else if !onnx.Builtin(n) {
		rule = nil
	}
	if rule != nil {
		if err := at.apply(rule); err != nil && i.trace == nil {
			i.bad("node %s: %s: %w", label(k, n), n.GetOpType(), err)
		}
	} else if i.trace == nil {
		for _, v := range at.out {
			v.maker = label(k, n) + ": operator " + n.GetOpType() + " is not known"
		}
	}
	if i.trace != nil {
		i.trace.bound(at)
	}
	for j, v := range at.out {
		v.complete(s.stated[n.GetOutput()[j]])
		s.values[n.GetOutput()[j]] = v
	}
	if rule != nil && i.trace == nil {
		i.missed(k, at)
	}
}

// label is a node's name, or its place where it has none.
func label(k int, n *onnxpb.NodeProto) string {
	if n.GetName() == "" {
		return fmt.Sprintf("number %d", k)
	}
	return n.GetName()
}

// missed reports the inputs for want of which an output has no type.
func (i *inferrer) missed(k int, at *site) {
	if !slices.ContainsFunc(at.out, func(v *value) bool { return v.t == 0 }) {
		return
	}
	for j, v := range at.in {
		if v != nil && v.t == 0 && v.maker != "" && !i.reported[v] {
			i.reported[v] = true
			i.bad("node %s, and node %s needs the type of its output %q", v.maker, label(k, at.NodeProto), at.GetInput()[j])
		}
	}
}

// outputs holds a graph's outputs to what they are declared as, and fills in
// what the declaration leaves open.
func (i *inferrer) outputs(g *onnxpb.GraphProto, s *scope) {
	for k, out := range g.GetOutput() {
		v := s.find(out.GetName())
		declared := fromInfo(out)
		if v.t == 0 || out.GetType() != nil && out.GetType().GetTensorType() == nil {
			continue // not typed, or no tensor
		}
		if declared.t != 0 && declared.t != v.t {
			i.bad("output %q is declared %s but is %s", out.GetName(), declared.t, v.t)
		}
		if !compatible(declared.dims, v.dims) {
			i.bad("output %q is declared %v but is %v", out.GetName(), declared.dims, v.dims)
			continue
		}
		if declared.dims == nil || slices.ContainsFunc(declared.dims, func(d expr) bool { return !d.known }) {
			g.Output[k] = v.info(out.GetName(), out)
		}
	}
}

// compatible tells whether two shapes may be of the same tensor.
func compatible(a, b []expr) bool {
	if a == nil || b == nil {
		return true
	}
	return len(a) == len(b) && !slices.ContainsFunc(seq(len(a)), func(i int) bool { return differ(a[i], b[i]) })
}
