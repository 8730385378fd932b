package quant

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/graph"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Attention's result is a mean of values, so a factor of a value's channel is
// one of the result's channel: softmax(Q·K)·(V/s) = (softmax(Q·K)·V)/s. Which
// column of which projection ends in which channel is found by following labels
// through the operators that only move data, for one token of one sequence
// without a past: every axis that is not of channels then has size 1, and a
// Reshape is no more than another shape for the same labels.

// mover follows the columns of projections.
type mover struct {
	s     *smoother
	laid  map[string]*laid
	steps []step                    // from the result back to the projection
	bias  []func(columns []float32) // of Adds on the way
	kv    bool                      // a cache is on the way
	why   string
}

// step is a value on the way, and the node that takes it on.
type step struct {
	value string
	to    *onnxpb.NodeProto
}

// attended tells whether a value is a product of two computed values, moved.
func (s *smoother) attended(value string) bool {
	for range 8 {
		n := s.x.Producer[value]
		switch {
		case n == nil || len(n.GetInput()) == 0:
			return false
		case n.GetOpType() == "MatMul" && len(n.GetInput()) == 2:
			_, linear := s.linear[n]
			return !linear && s.x.Producer[n.GetInput()[1]] != nil
		case !slices.Contains([]string{"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze"}, n.GetOpType()):
			return false
		}
		value = n.GetInput()[0]
	}
	return false
}

// values is the path of what attention makes to the columns of the projection
// that its values come from.
func (s *smoother) values(result string) (*path, string) {
	m := &mover{s: s, laid: map[string]*laid{}}
	l := m.find(result, nil)
	if l == nil {
		return nil, m.why
	}
	proj := s.linears[l.from]
	if !s.private(proj) {
		return nil, "weight " + proj.target.Weight + " is not float32 or has other users"
	}
	mine := map[int]bool{}
	for _, column := range l.at {
		mine[column] = true
	}
	p := ending(proj.node)
	p.tied = l.at
	for _, st := range m.steps {
		if why := m.alone(st, mine); why != "" {
			return nil, why
		}
		p.inside[st.value] = m.laid[st.value].at
	}
	if p.kv = m.kv; p.kv && s.o.KeepKV {
		return nil, "the cache is to stay interchangeable"
	}
	p.edits = append(p.edits, func(factors []float32) {
		columns := make([]float32, proj.target.Out)
		for i := range columns {
			columns[i] = 1
		}
		for j, column := range l.at {
			columns[column] = factors[j]
		}
		s.rescale(proj, proj.target.Axis, inverted(columns))
		for _, edit := range m.bias {
			edit(columns)
		}
	})
	return p, ""
}

// find lays the columns out; to takes the value on. nil, with the reason, where
// they cannot be followed.
func (m *mover) find(value string, to *onnxpb.NodeProto) *laid {
	if to != nil {
		m.steps = append(m.steps, step{value, to})
	}
	if l := m.laid[value]; l != nil {
		return l
	}
	n := m.s.x.Producer[value]
	if n == nil || len(m.steps) > maxSteps {
		return m.lost(value)
	}
	l := m.node(n, value)
	if l == nil {
		return m.lost(value)
	}
	m.laid[value] = l
	return l
}

// maxSteps bounds a path: one of a decoder has about ten.
const maxSteps = 64

func (m *mover) lost(value string) *laid {
	if m.why == "" {
		m.why = "what attention makes cannot be followed to its values: " + value
		if n := m.s.x.Producer[value]; n != nil {
			m.why += ", which " + graph.Label(n) + " makes"
		}
	}
	return nil
}

// node lays out one output of n.
func (m *mover) node(n *onnxpb.NodeProto, value string) *laid {
	s := m.s
	if i, ok := s.linear[n]; ok {
		l := &laid{from: i, dims: m.dims(value)}
		for c := range int(s.linears[i].target.Out) {
			l.at = append(l.at, c)
		}
		if in := n.GetInput(); len(in) > 2 && in[2] != "" && !m.biased(n, 2, l) {
			return m.lost(value)
		}
		return l.whole()
	}
	in := n.GetInput()
	if len(in) == 0 {
		return nil
	}
	switch n.GetOpType() {
	case "MatMul":
		if s.x.Producer[in[0]] != nil && s.x.Producer[in[1]] != nil && in[0] != in[1] {
			if l := m.find(in[1], n); l != nil && len(l.dims) > 1 && l.dims[len(l.dims)-2] == 1 { // sums over tokens, not columns
				return l
			}
		}
	case "Add":
		for i := range in {
			if len(in) != 2 || held(s.m, s.x, in[i]) == nil {
				continue
			}
			l := m.find(in[1-i], n)
			if l == nil || m.biased(n, i, l) {
				return l
			}
		}
	case "Identity":
		return m.find(in[0], n)
	case "Reshape", "Squeeze", "Unsqueeze", "Flatten":
		if l := m.find(in[0], n); l != nil {
			return (&laid{m.dims(value), l.at, l.from}).whole()
		}
	case "Transpose":
		return m.find(in[0], n).transposed(onnx.Attr(n, "perm").GetInts())
	case "Split":
		return m.split(n, value)
	case "Slice":
		return m.slice(n, value)
	case "Expand":
		return m.find(in[0], n).expanded(m.dims(value))
	case "Concat", "ScatterElements":
		return m.cache(n)
	}
	return m.lost(value)
}

// biased notes that the constant input of n belongs to the columns.
func (m *mover) biased(n *onnxpb.NodeProto, input int, l *laid) bool {
	e := m.s.vector(n, input, int64(len(l.at)))
	if e == nil || len(l.at) != int(m.s.linears[l.from].target.Out) || !slices.IsSorted(l.at) {
		return false
	}
	m.bias = append(m.bias, e)
	return true
}

// cache is new values behind old ones (Concat) or among them (ScatterElements):
// without a past, the new ones.
func (m *mover) cache(n *onnxpb.NodeProto) *laid {
	in := n.GetInput()
	if len(in) < 2 || !m.s.x.Inputs[in[0]] || m.s.seen(in[0], n) != "" || n.GetOpType() == "Concat" && len(in) != 2 {
		return m.lost(n.GetOutput()[0])
	}
	l := m.find(in[len(in)-1], n)
	axis := onnx.AttrInt(n, "axis", 0)
	if l != nil && axis < 0 {
		axis += int64(len(l.dims))
	}
	if l == nil || axis < 0 || axis >= int64(len(l.dims)) || n.GetOpType() == "Concat" && l.dims[axis] != 1 {
		return m.lost(n.GetOutput()[0])
	}
	m.kv = true
	return l
}

// split is one output of a Split.
func (m *mover) split(n *onnxpb.NodeProto, value string) *laid {
	l := m.find(n.GetInput()[0], n)
	axis := onnx.AttrInt(n, "axis", 0)
	start := int64(0)
	for _, out := range n.GetOutput() {
		dims := m.dims(out)
		if l == nil || dims == nil {
			return m.lost(value)
		}
		if axis < 0 {
			axis += int64(len(dims))
		}
		if axis < 0 || axis >= int64(len(dims)) || len(dims) != len(l.dims) {
			return m.lost(value)
		}
		if out == value {
			return l.cut(axis, start, dims[axis])
		}
		start += dims[axis]
	}
	return m.lost(value)
}

// slice is a Slice of one axis.
func (m *mover) slice(n *onnxpb.NodeProto, value string) *laid {
	in := n.GetInput()
	one := func(i int) (int64, bool) {
		if i >= len(in) {
			return 0, false
		}
		all := m.s.trace.Ints(in[i])
		if len(all) != 1 {
			return 0, false
		}
		return all[0].Value()
	}
	start, ok := one(1)
	axis, axes := one(3)
	step, steps := one(4)
	l, dims := m.find(in[0], n), m.dims(value)
	if l == nil || !ok || !axes || steps && step != 1 || dims == nil {
		return m.lost(value)
	}
	if axis < 0 {
		axis += int64(len(dims))
	}
	if axis < 0 || axis >= int64(len(dims)) || len(dims) != len(l.dims) {
		return m.lost(value)
	}
	if start < 0 {
		start += l.dims[axis]
	}
	return l.cut(axis, start, dims[axis])
}

// dims are the sizes of a value for one token of one sequence without a past;
// nil where they are not known.
func (m *mover) dims(value string) []int64 {
	var dims []int64
	for _, size := range m.s.trace.Dims(value) {
		n, fixed := size.Value()
		switch {
		case !size.Known():
			return nil
		case !fixed:
			n = 1
		}
		dims = append(dims, n)
	}
	return dims
}

// alone tells why a value on the way cannot be rescaled: something else takes
// its columns, or it is an output that carries no cache.
func (m *mover) alone(st step, mine map[int]bool) (why string) {
	s := m.s
	if s.x.Outputs[st.value] {
		if !slices.Contains(s.states, st.value) {
			return "the graph gives out " + st.value
		}
		m.kv = true // of a first pass, which has no past
	}
	for _, n := range s.x.Consumers[st.value] {
		cuts := n.GetOpType() == "Split" || n.GetOpType() == "Slice"
		if n == st.to && !cuts || sizes[n.GetOpType()] {
			continue
		}
		for _, out := range n.GetOutput() {
			if slices.ContainsFunc(m.steps, func(o step) bool { return o.value == out }) {
				continue // it is on the way itself
			}
			if l := (&mover{s: s, laid: m.laid}).node(n, out); !cuts || l == nil || l.touches(mine) {
				return st.value + " also goes to " + graph.Label(n)
			}
		}
	}
	return ""
}

// maxLabels bounds a value that is followed: the widest projection times the
// queries that share a value.
const maxLabels = 1 << 22

// mark states in the metadata that the cache's values are rescaled, and how.
func (s *smoother) mark() {
	if len(s.kv) == 0 {
		return
	}
	h := sha256.New()
	var old *onnxpb.StringStringEntryProto
	for _, p := range s.m.Proto.GetMetadataProps() {
		if p.GetKey() == contract.MetaKVScale {
			old = p
			h.Write([]byte(p.GetValue()))
		}
	}
	var b []byte
	for _, f := range s.kv {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	h.Write(b)
	digest := hex.EncodeToString(h.Sum(nil))
	if old != nil {
		old.Value = digest
		return
	}
	s.m.Proto.MetadataProps = append(s.m.Proto.MetadataProps, &onnxpb.StringStringEntryProto{Key: contract.MetaKVScale, Value: digest})
}
