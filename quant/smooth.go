package quant

import (
	"fmt"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/onnx/shape"
)

// SmoothOptions are choices for [Smooth]; the zero value smooths what the default
// policy quantizes, with an alpha searched for each fold.
type SmoothOptions struct {
	Policy  Policy    // which matrix products will be quantized: nothing is moved for others
	Alphas  []float64 // candidates, from 0 to 1; nil searches a grid, a single one is taken as it is
	KeepKV  bool      // fold nothing into values, so that the cache stays interchangeable
	NoNodes bool      // add no node, even where one would cut the error
}

// Fold is what became of the input of some matrix products: whose outliers were
// moved into their weights, or why they were not.
type Fold struct {
	Tensor string   `json:"tensor"` // the input
	Nodes  []string `json:"nodes"`  // the matrix products that take it
	Role   Role     `json:"role"`   // of the first of them that is quantized
	Layer  int      `json:"layer"`
	Folded bool     `json:"folded"`
	Reason string   `json:"reason"`
	Into   string   `json:"into,omitempty"`  // what takes the inverse factors
	Alpha  float64  `json:"alpha,omitempty"` // of the factors
	Added  []string `json:"added,omitempty"` // nodes that run beside the old ones
	KV     bool     `json:"kv,omitempty"`    // the cache's values are rescaled
	Before float64  `json:"before"`          // predicted squared error of the products, a token
	After  float64  `json:"after"`
}

// Smooth moves outliers of activations into weights: each channel j of a matrix
// product's input is divided by a factor s_j, and row j of the weights behind it
// multiplied by it, so that the float32 graph computes the same and INT8 loses
// less (SmoothQuant, Xiao et al., ICML 2023, equation 4):
//
//	s_j = max|X_j|^alpha / max|W_j|^(1-alpha), with geometric mean 1
//
// The division costs nothing where something upstream takes it: a layer norm's
// gain and bias, the value columns of a projection behind attention, a projection
// behind Relu or a gate, a constant factor. Behind any other activation (GELU) it
// is a Mul, and a range that is not symmetric is moved to be so by an Add whose
// contribution goes into the bias; both only where they cut the predicted error
// to [worthNode] of what it is without. alpha is the one of least predicted error
// (see predict).
//
// The table needs channels; the result's belongs to the new graph. A folded
// tensor's range is exact for absmax, and absmax whatever the method was: after a
// fold no channel stands out, and clipping gains nothing any more. Values inside
// the path of a fold get a bound of their range where their channels are not known.
//
// Folding into values rescales present.value: the graph's metadata then carry
// [contract.MetaKVScale]. m is not changed and is closed last. Errors are of class
// input: control flow, a weight that cannot be read or is not finite; of class
// usage: an alpha outside of 0 to 1.
func Smooth(m *onnx.Model, t *calib.Table, o SmoothOptions) (*onnx.Model, *calib.Table, []Fold, error) {
	const stage = "smoothing"
	for _, a := range o.Alphas {
		if !(a >= 0 && a <= 1) {
			return nil, nil, nil, fault.New(fault.Usage, stage, fmt.Sprintf("alpha %g", a), "it is not from 0 to 1", "0.5 to 0.9 are usual")
		}
	}
	if n := graph.Quantized(m); n != nil {
		return nil, nil, nil, fault.New(fault.Input, stage, graph.Label(n), "the model is quantized already", "smooth the float32 model")
	}
	c, linears, err := products(m)
	if err != nil {
		return nil, nil, nil, err
	}
	table := *t
	table.Ranges = maps.Clone(t.Ranges)
	s := newSmoother(c, linears, &table, o)
	var folds []Fold
	for _, g := range s.groups() {
		f, err := s.fold(g)
		if err != nil {
			return nil, nil, nil, err
		}
		folds = append(folds, f)
	}
	s.mark()
	if !slices.ContainsFunc(folds, func(f Fold) bool { return f.Folded }) {
		return m, t, folds, nil
	}
	s.splice()
	c.Prune()
	table.FoldedFrom = t.Model
	table.Model, err = c.Digest()
	return c, &table, folds, err
}

// smoother rewrites a graph.
type smoother struct {
	m       *onnx.Model
	x       *graph.Index
	trace   *shape.Trace
	used    graph.Names
	table   *calib.Table
	o       SmoothOptions
	linears []linearNode
	linear  map[*onnxpb.NodeProto]int // index of linears
	states  []string
	added   map[*onnxpb.NodeProto][]*onnxpb.NodeProto // nodes to stand behind
	kv      []float32                                 // factors of values, in graph order
	left    int                                       // nodes that a walk may still visit
}

// maxWalk bounds what is looked at for one fold.
const maxWalk = 64

func newSmoother(m *onnx.Model, linears []linearNode, t *calib.Table, o SmoothOptions) *smoother {
	s := &smoother{m: m, x: graph.NewIndex(m.Graph()), trace: shape.Follow(m), used: graph.UsedNames(m.Graph()), table: t, o: o,
		linears: linears, linear: map[*onnxpb.NodeProto]int{}, states: calib.States(m), added: map[*onnxpb.NodeProto][]*onnxpb.NodeProto{}}
	for i, l := range linears {
		if l.target.Weight != "" {
			s.linear[l.node] = i
		}
	}
	return s
}

// group is the matrix products that take one value, as it is or reshaped.
type group struct {
	root    string   // the value
	tensors []string // it and its reshaped forms that are an input of a product
	users   []int    // of linears
	taken   []int    // those that are quantized
	first   Target   // of them
	other   string   // what else takes the value; empty where nothing does
}

// groups are in the order of their first quantized product.
func (s *smoother) groups() []*group {
	var all []*group
	known := map[string]bool{}
	for _, l := range s.linears {
		if l.target.Weight == "" || !s.takes(l.target) {
			continue
		}
		root := s.root(l.target.Activation)
		if known[root] {
			continue
		}
		known[root] = true
		g := &group{root: root, first: l.target}
		s.collect(g, root)
		slices.Sort(g.users)
		g.taken = slices.DeleteFunc(slices.Clone(g.users), func(i int) bool { return !s.takes(s.linears[i].target) })
		all = append(all, g)
	}
	return all
}

func (s *smoother) takes(t Target) bool {
	return s.o.Policy.takes(t.Role) && !s.o.Policy.Exclude[t.Node]
}

// root follows a value back through reshapes that keep its channels.
func (s *smoother) root(value string) string {
	for range maxWalk {
		p := s.x.Producer[value]
		if p == nil || !s.reshapes(p) {
			break
		}
		value = p.GetInput()[0]
	}
	return value
}

// reshapes tells whether a node keeps its first input's last axis as it is.
func (s *smoother) reshapes(n *onnxpb.NodeProto) bool {
	if len(n.GetInput()) == 0 {
		return false
	}
	switch n.GetOpType() {
	case "Identity":
		return true
	case "Reshape", "Flatten", "Squeeze", "Unsqueeze":
		in, out := s.width(n.GetInput()[0]), s.width(n.GetOutput()[0])
		return in > 0 && in == out
	}
	return false
}

// width is the size of a value's last axis; 0 where it is not known.
func (s *smoother) width(value string) int64 {
	dims := s.trace.Dims(value)
	if len(dims) == 0 {
		return 0
	}
	n, _ := dims[len(dims)-1].Value()
	return n
}

// collect finds what takes a value.
func (s *smoother) collect(g *group, value string) {
	if s.x.Outputs[value] {
		g.other = "the graph's output"
	}
	for _, n := range s.x.Consumers[value] {
		i, linear := s.linear[n]
		switch {
		case linear && n.GetInput()[0] == value && !slices.Contains(n.GetInput()[1:], value) && onnx.AttrInt(n, "transA", 0) == 0:
			g.users = append(g.users, i)
			if !slices.Contains(g.tensors, value) {
				g.tensors = append(g.tensors, value)
			}
		case s.reshapes(n) && n.GetInput()[0] == value:
			s.collect(g, n.GetOutput()[0])
		case !sizes[n.GetOpType()]:
			g.other = graph.Label(n)
		}
	}
}

// sizes are operators that only look at a value's shape.
var sizes = map[string]bool{"Shape": true, "Size": true}

// fold judges one group and, where it pays, folds it.
func (s *smoother) fold(g *group) (Fold, error) {
	f := Fold{Tensor: g.root, Role: g.first.Role, Layer: g.first.Layer}
	for _, i := range g.users {
		f.Nodes = append(f.Nodes, s.linears[i].target.Node)
	}
	if f.Reason = s.obstacle(g); f.Reason != "" {
		return f, nil
	}
	s.left = maxWalk
	p, why := s.absorb(g.root, nil)
	if p == nil && (!s.inserts(f.Role) || s.x.Producer[g.root] == nil) {
		f.Reason = why
		return f, nil
	}
	b, err := s.balance(g, p)
	if err != nil {
		return f, err
	}
	if p != nil {
		f.Into, f.KV = p.into, p.kv
	}
	f.Before, f.After = b.before, b.after
	switch {
	case b.factors == nil && p == nil:
		f.Reason = why + ", and a node would not pay"
		return f, nil
	case b.factors == nil:
		f.Reason = "no factors make the predicted error smaller"
		return f, nil
	}
	f.Folded, f.Alpha = true, b.alpha
	f.Reason = fmt.Sprintf("the predicted error falls to %.2g of what it was", b.after/b.before)
	f.Added = s.apply(g, p, b)
	return f, nil
}

// inserts tells whether nodes may stand before products of a role: behind an
// activation function alone, where nothing else helps.
func (s *smoother) inserts(r Role) bool { return r == FC2 && !s.o.NoNodes }

// obstacle is why the value of a group cannot be rescaled at all; "" if it can.
func (s *smoother) obstacle(g *group) string {
	if g.other != "" {
		return "the value also goes to " + g.other
	}
	for _, i := range g.users {
		if l := s.linears[i]; !s.private(l) {
			return fmt.Sprintf("weight %q is not float32 or has other users", l.target.Weight)
		}
	}
	in := g.first.In
	if c := s.channels(g); c == nil || int64(len(c.Lo)) != in || int64(len(c.Hi)) != in || int64(len(c.RMS)) != in {
		return "the table has no channels of it"
	}
	return ""
}

// channels are what the table knows of a group's value.
func (s *smoother) channels(g *group) *calib.Channels {
	for _, name := range append(g.tensors, g.root) {
		if c := s.table.Ranges[name].Channels; c != nil {
			return c
		}
	}
	return nil
}

// private tells whether a product's weight is used by it alone, however it
// reaches it, and of a type that can be rescaled.
func (s *smoother) private(l linearNode) bool {
	if l.Type != onnx.Float32 {
		return false
	}
	value := l.node.GetInput()[1]
	for {
		if len(s.x.Consumers[value]) != 1 || s.x.Outputs[value] {
			return false
		}
		p := s.x.Producer[value]
		if p == nil {
			return true
		}
		value = p.GetInput()[0]
	}
}

// apply rescales a group: p takes the inverse factors, or nodes do.
func (s *smoother) apply(g *group, p *path, b balanced) (added []string) {
	if p != nil {
		p.apply(b.factors)
		for value, at := range p.inside {
			s.rebound(value, at, b.factors)
		}
		if p.kv {
			s.kv = append(s.kv, b.factors...)
		}
	}
	value := g.root
	insert := func(op, suffix string, values []float32) {
		constant, out := s.used.Take(g.root+"/"+suffix), s.used.Take(g.root+"/smoothed")
		s.m.SetWeight(onnx.Floats(constant, []int64{int64(len(values))}, values...))
		n := onnx.Node(op, s.used.Take(g.root+"/smooth/"+op), []string{value, constant}, []string{out})
		behind := s.x.Producer[g.root]
		s.added[behind] = append(s.added[behind], n)
		added = append(added, n.GetName())
		value = out
	}
	if p == nil {
		inverse := make([]float32, len(b.factors))
		for j, f := range b.factors {
			inverse[j] = 1 / f
		}
		insert("Mul", "factors", inverse)
	}
	if b.shift != nil {
		moved := make([]float32, len(b.shift))
		for j, c := range b.shift {
			moved[j] = -c / b.factors[j]
		}
		insert("Add", "shift", moved)
	}
	s.rerange(g, value, b, p != nil)
	for _, i := range g.users {
		l := s.linears[i]
		if b.shift != nil {
			s.shiftBias(l, b.shift)
			if l.node.GetOpType() != "Gemm" {
				delete(s.table.Ranges, l.node.GetOutput()[0]) // it is another value now
			}
		}
		s.rescale(l, 1-l.target.Axis, b.factors)
	}
	return added
}

// rescale multiplies the indices of an axis of a product's weight.
func (s *smoother) rescale(l linearNode, axis int, factors []float32) {
	w := s.m.Weight(l.target.Weight)
	seen := *w
	seen.Dims = l.dims
	now := scaled(&seen, axis, factors)
	now.Dims = w.Dims
	s.m.SetWeight(now)
}

// splice puts added nodes behind those that make their input.
func (s *smoother) splice() {
	g := s.m.Graph()
	var nodes []*onnxpb.NodeProto
	for _, n := range g.GetNode() {
		nodes = append(append(nodes, n), s.added[n]...)
	}
	g.Node = nodes
}
