package contract

import (
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/onnx/shape"
)

// flow is the main graph with numbers for names, and what one walk forth and one
// back say of every value. Both are linear in the graph, so that neither 10,000
// inputs nor a million nodes are a burden. Subgraphs are not looked into.
type flow struct {
	trace  *shape.Trace
	inputs []*onnxpb.ValueInfoProto // without weights
	number map[string]int           // of a value; 0 is one left out
	nodes  []*step
	facts  []fact // by number

	tables  [][]table  // by input: whose rows it selects
	counts  []table    // whose rows are selected by a count of the mask
	cosines []int64    // rows of a fused operator's own table
	angle   []bool     // by input: it is turned into an angle
	column  []bool     // by input: it says where to write
	images  []bool     // by input: a convolution takes it, [batch, channels, sizes...]
	total   shape.Size // what an operator is told to be past and sequence together
	slots   map[int]Kind
	pairs   []pair
}

// step is a node.
type step struct {
	op      string // with its domain, where that is not the default
	in, out []int
	node    *onnxpb.NodeProto
}

// table is a weight of two axes and what is added to an index into it.
type table struct{ rows, offset int64 }

// pair is a cache input, by number, and the output that it becomes.
type pair struct {
	past, present int
	axis          int  // along which new keys are put behind old ones; -1 where the length is one buffer's
	open          bool // the operator can do both
}

// fact is what is known of a value.
type fact struct {
	varies  bool  // with the data of some input, not with its shape alone
	origin  int   // the only input that it is computed from, plus 1; -1 of several, or not plainly
	offset  int64 // added to the origin's data, where it is the same up to that
	shifted bool  // and it is not the same up to an offset
	count   bool  // a running count, offset added
	holds   int   // the cache input whose content it is, plus 1
	grown   int   // the cache input that it is with new content behind, plus 1
	axis    int   // of grown
	written int   // the cache input that it is with new content in place, plus 1
	probs   bool  // a softmax, or what it becomes
	head    bool  // a product with weights, or what it becomes by the way to logits
	same    int   // the value that it is a copy of, or itself

	score        bool // becomes part of a softmax's input
	key, content int  // the first node, plus 1, that takes it as a factor of the scores, or of what they weigh
}

// newFlow walks over m.
func newFlow(m *onnx.Model) *flow {
	f := &flow{trace: shape.Follow(m), number: map[string]int{"": 0}, facts: make([]fact, 1), slots: map[int]Kind{}}
	for _, v := range m.Graph().GetInput() {
		if m.Weight(v.GetName()) == nil {
			f.inputs = append(f.inputs, v)
		}
	}
	f.tables, f.angle = make([][]table, len(f.inputs)), make([]bool, len(f.inputs))
	f.column, f.images = make([]bool, len(f.inputs)), make([]bool, len(f.inputs))
	for i, v := range f.inputs {
		n := f.value(v.GetName())
		f.facts[n].varies, f.facts[n].origin = true, i+1
		if _, dims := onnx.TypeOf(v); len(dims) == 4 {
			f.facts[n].holds = i + 1
		}
	}
	for _, n := range m.Graph().GetNode() {
		f.add(n)
	}
	for k := len(f.nodes) - 1; k >= 0; k-- {
		f.back(k)
	}
	f.couple(m.Graph().GetOutput())
	return f
}

// value is the number of a name.
func (f *flow) value(name string) int {
	n, ok := f.number[name]
	if !ok {
		n = len(f.facts)
		f.number[name] = n
		f.facts = append(f.facts, fact{same: n})
	}
	return n
}

func (f *flow) add(n *onnxpb.NodeProto) {
	s := &step{op: onnx.Operator(n), node: n}
	for _, name := range n.GetInput() {
		s.in = append(s.in, f.value(name))
	}
	for _, name := range n.GetOutput() {
		s.out = append(s.out, f.value(name))
	}
	f.nodes = append(f.nodes, s)
	f.forth(s)
}

// input is an input of a node as a number; 0 where it is left out.
func (s *step) input(i int) int {
	if i < len(s.in) {
		return s.in[i]
	}
	return 0
}

func (s *step) output(i int) int {
	if i < len(s.out) {
		return s.out[i]
	}
	return 0
}

// of is the fact about an input of a node.
func (f *flow) of(s *step, i int) fact { return f.facts[s.input(i)] }

// root is the value that v is a copy of.
func (f *flow) root(v int) int {
	for range len(f.facts) {
		if f.facts[v].same == v {
			break
		}
		v = f.facts[v].same
	}
	return v
}

// sets of operators.
func set(names ...string) map[string]bool {
	all := map[string]bool{}
	for _, n := range names {
		all[n] = true
	}
	return all
}

var (
	// moved keep the data of their first input.
	moved = set("Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Flatten", "Transpose", "Slice", "Tile", "Dropout")
	// bare are what an index or an angle may go through.
	bare = set("Add", "Sub", "Mul", "Div", "Clip", "MatMul", "Neg", "Max", "Min", "Where", "Concat", "Gather", "Less", "Greater", "Equal", "Einsum")
	// shaped say how long something is, not what it holds.
	shaped = set("Shape", "Size")
	// scored is the way of a mask or of scores to a softmax.
	scored = set("Add", "Sub", "Mul", "Div", "Where", "Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Transpose", "Slice",
		"Tanh", "Clip", "Min", "Max", "And", "Or", "Xor", "Not", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Concat", "Flatten",
		"Neg", "Pow", "Log", "Trilu", "Tile", "Split", "Pad", "Mod", "ReduceSum", "CumSum", "Sum", "ScatterND", "CastLike", "Dropout")
	// laidOut is the way of keys and values to a product.
	laidOut = set("Transpose", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Cast", "CastLike", "Identity", "Mul", "Div", "Slice", "Concat", "Tile", "Flatten",
		"Add", "Sub", "Neg", "Split", "Where", "QuantizeLinear", "DequantizeLinear", "ScatterND", "ScatterElements", "TensorScatter", "Dropout")
	// weighed is what may happen to a softmax before it weighs values.
	weighed = set("Cast", "CastLike", "Identity", "Reshape", "Where", "Mul", "Dropout", "Expand", "Transpose", "Slice", "Unsqueeze", "Squeeze", "Concat",
		"QuantizeLinear", "DequantizeLinear")
	// ahead is what may happen to logits.
	ahead = set("Cast", "CastLike", "Identity", "Add", "Mul", "Div", "Tanh", "Slice", "Reshape", "Unsqueeze", "Squeeze", "Gather", "Clip", "QuantizeLinear",
		"DequantizeLinear")
	products = set("MatMul", "Gemm", "com.microsoft.MatMulNBits", "com.microsoft.FusedMatMul", "MatMulInteger", "Einsum")
)
