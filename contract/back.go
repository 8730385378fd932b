package contract

import "github.com/trtforge/trtforge/onnx/onnxpb"

// back says of a node's inputs what becomes of its outputs. Nodes are visited
// from the last to the first, so the earliest use of a value is the one that
// stays.
func (f *flow) back(k int) {
	s := f.nodes[k]
	f.facts[0] = fact{} // of what is left out nothing is said
	out := f.facts[s.output(0)]
	for _, v := range s.out[min(1, len(s.out)):] {
		x := f.facts[v]
		out.score = out.score || x.score
		out.key, out.content = earliest(out.key, x.key), earliest(out.content, x.content)
	}
	switch {
	case s.op == "Softmax":
		f.facts[s.input(0)].score = true
	case products[s.op]:
		f.product(s, k, out.score)
	case s.op == "Gather" || s.op == "GatherND":
		x := &f.facts[s.input(0)]
		x.score = x.score || out.score
		x.key, x.content = earliest(x.key, out.key), earliest(x.content, out.content)
	}
	for i, v := range s.in {
		x := &f.facts[v]
		if i > 0 && moved[s.op] {
			break
		}
		if scored[s.op] && out.score {
			x.score = true
		}
		if laidOut[s.op] {
			x.key, x.content = earliest(x.key, out.key), earliest(x.content, out.content)
		}
	}
	f.slot(s, k)
}

func earliest(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// product is a MatMul of attention: of queries and keys, or of scores and values.
func (f *flow) product(s *step, k int, score bool) {
	a, b := s.input(0), s.input(1)
	switch {
	case f.facts[a].probs && !f.facts[b].probs:
		f.facts[b].content = k + 1
	case f.facts[b].probs && !f.facts[a].probs:
		f.facts[a].content = k + 1
	case score:
		f.facts[a].key, f.facts[b].key = k+1, k+1
	}
}

// fused are the operators that are attention as a whole, and where they take and
// give what a contract is about (docs/ContribOperators.md of ONNX Runtime,
// docs/Operators.md of ONNX).
var fused = map[string]struct {
	pastKey, pastValue, mask, lengths, total, positions int
	open                                                bool // past and present may share a buffer
}{
	"com.microsoft.GroupQueryAttention": {pastKey: 3, pastValue: 4, mask: 10, lengths: 5, total: 6, positions: 9, open: true},
	"com.microsoft.MultiHeadAttention":  {pastKey: 6, pastValue: 7, mask: 5, lengths: 4},
	"Attention":                         {pastKey: 4, pastValue: 5, mask: 3},
}

// attention notes the cache of a fused operator, and what it is told.
func (f *flow) attention(s *step) {
	if at, ok := rotary[s.op]; ok {
		f.rotates(s, at[0], at[1])
		return
	}
	a, ok := fused[s.op]
	if !ok {
		return
	}
	for i, p := range []int{a.pastKey, a.pastValue} {
		if past, out := f.of(s, p).holds, s.output(1+i); past > 0 && out > 0 {
			o := &f.facts[out]
			o.grown, o.axis = past, 2
			if a.open {
				o.axis = -2 // the graph does not say
			}
		}
	}
	if a.total > 0 && s.input(a.total) > 0 {
		if n := f.trace.Ints(s.node.GetInput()[a.total]); len(n) == 1 {
			f.total = n[0]
		}
	}
	if a.open { // it holds the total against its own table
		if rows, ok := f.long(s, 7); ok {
			f.cosines = append(f.cosines, rows)
		}
		f.rotates(s, a.positions, 7)
	}
}

// rotary are the operators that turn by an angle, with the inputs that are the
// positions and the table of cosines.
var rotary = map[string][2]int{"com.microsoft.RotaryEmbedding": {1, 2}, "RotaryEmbedding": {3, 1}}

// rotates notes positions that select rows of a table of cosines.
func (f *flow) rotates(s *step, positions, table int) {
	x := f.of(s, positions)
	if x.origin <= 0 {
		return
	}
	f.angle[x.origin-1] = true
	if rows, ok := f.long(s, table); ok {
		f.tables[x.origin-1] = append(f.tables[x.origin-1], tableOf(rows, x))
	}
}

// long is the first axis of an input that has two.
func (f *flow) long(s *step, i int) (int64, bool) {
	if i >= len(s.in) {
		return 0, false
	}
	dims := f.trace.Dims(s.node.GetInput()[i])
	if len(dims) != 2 {
		return 0, false
	}
	return dims[0].Value()
}

// slot says what a fused operator takes its inputs for.
func (f *flow) slot(s *step, k int) {
	a, ok := fused[s.op]
	if !ok {
		return
	}
	for _, i := range []int{a.mask, a.lengths} {
		if v := s.input(i); i > 0 && v > 0 {
			f.facts[v].score = true
		}
	}
	for i, v := range map[int]*int{a.pastKey: &f.facts[s.input(a.pastKey)].key, a.pastValue: &f.facts[s.input(a.pastValue)].content, 1: &f.facts[s.input(1)].key, 2: &f.facts[s.input(2)].content} {
		if s.input(i) > 0 {
			*v = k + 1
		}
	}
	for i, o := range []int{s.output(1), s.output(2)} {
		if o > 0 && i == 0 {
			f.facts[o].key = k + 1
		} else if o > 0 {
			f.facts[o].content = k + 1
		}
	}
}

// couple finds the outputs that a cache input becomes.
func (f *flow) couple(outputs []*onnxpb.ValueInfoProto) {
	for _, o := range outputs {
		n, ok := f.number[o.GetName()]
		if !ok {
			continue
		}
		x := f.facts[n]
		p := pair{past: x.grown - 1, present: n, axis: x.axis}
		switch {
		case x.grown > 0 && x.axis == -2:
			p.axis, p.open = 2, true
		case x.grown > 0:
		case x.written > 0 && f.alike(x.written-1, o.GetName()):
			p.past, p.axis = x.written-1, -1
		default:
			continue
		}
		f.pairs = append(f.pairs, p)
	}
}

// alike tells whether an output is as large as an input.
func (f *flow) alike(input int, output string) bool {
	a, b := f.trace.Dims(f.inputs[input].GetName()), f.trace.Dims(output)
	if len(a) != len(b) || a == nil {
		return false
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}
