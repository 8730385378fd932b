package quant

import (
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// path is how the inverse factors of a value go upstream: what takes them, and
// which channels must have the same factor.
type path struct {
	into  string                    // who takes them in the end
	edits []func(factors []float32) // divide a constant by them
	tied  []int                     // class of each channel; nil = each its own
	kv    bool                      // the cache's values are on the way
	// inside are the values on the way, with the channel of each of their elements
	// (of one token); nil where those are the channels of the factors in order.
	inside map[string][]int
}

func (p *path) apply(factors []float32) {
	for _, edit := range p.edits {
		edit(factors)
	}
}

// homogeneous operators commute with positive factors.
var homogeneous = map[string]bool{"Relu": true, "LeakyRelu": true, "Identity": true, "Dropout": true}

// absorb finds what can take a division of a value's channels: nothing may see
// the value but via (or, where via is nil, a group that was judged before). why
// says what stands in the way.
func (s *smoother) absorb(value string, via *onnxpb.NodeProto) (p *path, why string) {
	if via != nil {
		if why := s.seen(value, via); why != "" {
			return nil, why
		}
		defer func() {
			if p != nil {
				p.inside[value] = nil
			}
		}()
	}
	n := s.x.Producer[value]
	if s.left--; n == nil || s.left < 0 {
		return nil, "what makes " + value + " cannot be followed"
	}
	if i, ok := s.linear[n]; ok && n.GetOutput()[0] == value {
		return s.columns(i)
	}
	if s.attended(value) {
		return s.values(value)
	}
	if !onnx.Builtin(n) || len(n.GetInput()) == 0 || n.GetOutput()[0] != value {
		return nil, graph.Label(n) + " is not looked into"
	}
	switch op := n.GetOpType(); {
	case op == "LayerNormalization" || op == "RMSNormalization":
		return s.norm(n)
	case homogeneous[op] || s.reshapes(n):
		return s.absorb(n.GetInput()[0], n)
	case op == "Mul":
		return s.product(n)
	case op == "Add":
		return s.sum(n)
	}
	return nil, graph.Label(n) + " does not commute with factors"
}

// seen is what else takes a value on the way, or "".
func (s *smoother) seen(value string, via *onnxpb.NodeProto) string {
	if s.x.Outputs[value] {
		return "the graph gives out " + value
	}
	for _, n := range s.x.Consumers[value] {
		if n != via && !sizes[n.GetOpType()] {
			return value + " also goes to " + graph.Label(n)
		}
	}
	if in := via.GetInput(); slices.Contains(in[slices.Index(in, value)+1:], value) {
		return value + " goes to " + graph.Label(via) + " twice" // a square
	}
	return ""
}

// ending is a path that ends at a node.
func ending(n *onnxpb.NodeProto, edits ...func([]float32)) *path {
	return &path{into: graph.Label(n), edits: edits, inside: map[string][]int{}}
}

// norm is the gain and bias of a layer norm over the last axis.
func (s *smoother) norm(n *onnxpb.NodeProto) (*path, string) {
	p := ending(n)
	in := n.GetInput()
	if len(in) < 2 || in[1] == "" {
		return nil, graph.Label(n) + " has no gain"
	}
	d := s.width(in[0])
	if axis := onnx.AttrInt(n, "axis", -1); axis != -1 && axis != int64(len(s.trace.Dims(in[0])))-1 {
		return nil, graph.Label(n) + " does not stand on the last axis"
	}
	for i := 1; i < len(in); i++ {
		if in[i] == "" {
			continue
		}
		e := s.vector(n, i, d)
		if e == nil {
			return nil, graph.Label(n) + " has no constant gain and bias"
		}
		p.edits = append(p.edits, e)
	}
	return p, ""
}

// product is a factor of a Mul: a constant, or else one that something upstream
// takes (the up projection of a gated MLP).
func (s *smoother) product(n *onnxpb.NodeProto) (p *path, why string) {
	for i := range n.GetInput() {
		if e := s.vector(n, i, s.width(n.GetOutput()[0])); e != nil {
			return ending(n, e), ""
		}
	}
	for _, in := range n.GetInput() {
		if s.width(in) == s.width(n.GetOutput()[0]) {
			if p, why = s.absorb(in, n); p != nil {
				return p, ""
			}
		}
	}
	return nil, why
}

// sum is both terms of an Add of which one is a constant.
func (s *smoother) sum(n *onnxpb.NodeProto) (*path, string) {
	in, d := n.GetInput(), s.width(n.GetOutput()[0])
	for i := range in {
		e := s.vector(n, i, d)
		if e == nil || len(in) != 2 || s.width(in[1-i]) != d {
			continue
		}
		p, why := s.absorb(in[1-i], n)
		if p != nil {
			p.edits = append(p.edits, e)
		}
		return p, why
	}
	return nil, graph.Label(n) + " adds two computed values"
}

// columns are the output columns of a matrix product, and a Gemm's bias.
func (s *smoother) columns(i int) (*path, string) {
	l := s.linears[i]
	if !s.private(l) {
		return nil, "weight " + l.target.Weight + " is not float32 or has other users"
	}
	p := ending(l.node, func(factors []float32) { s.rescale(l, l.target.Axis, inverted(factors)) })
	if in := l.node.GetInput(); len(in) > 2 && in[2] != "" {
		e := s.vector(l.node, 2, l.target.Out)
		if e == nil || !plainGemm(l.node) {
			return nil, graph.Label(l.node) + " has no constant bias"
		}
		p.edits = append(p.edits, e)
	}
	return p, ""
}

// vector is the division of a constant input of n that has d channels, or one
// number for all of them; nil where the input is none. The constant is replaced
// at n alone.
func (s *smoother) vector(n *onnxpb.NodeProto, input int, d int64) func([]float32) {
	w := held(s.m, s.x, n.GetInput()[input])
	if w == nil || w.Type != onnx.Float32 || d == 0 {
		return nil
	}
	size, err := onnx.Elements(w.Dims)
	if err != nil || size != 1 && (size != d || w.Dims[len(w.Dims)-1] != d) || len(w.Dims) > len(s.trace.Dims(n.GetOutput()[0])) {
		return nil
	}
	values, err := w.Float32s()
	if err != nil {
		return nil
	}
	return func(factors []float32) {
		divided := make([]float32, d)
		for j := range divided {
			divided[j] = values[j%len(values)] / factors[j]
		}
		dims := slices.Clone(w.Dims)
		if size == 1 {
			dims = []int64{d}
		}
		name := s.used.Take(w.Name + "/smoothed")
		s.m.SetWeight(onnx.Floats(name, dims, divided...))
		n.Input[input] = name
	}
}
