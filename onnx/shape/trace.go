package shape

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// Bounds of a trace.
const (
	maxEquations = 1 << 20 // of one round; later ones are not looked at
	maxRounds    = 8       // each uses what the one before has learned
)

// Size is how long a dimension is: an integer, or an expression of the symbols
// that a [Trace] gave to the open dimensions of inputs. The zero Size is not
// known.
type Size struct{ e expr }

// Known tells whether anything is known of the size.
func (s Size) Known() bool { return s.e.known }

// Value is the size where it is an integer.
func (s Size) Value() (int64, bool) { return s.e.value() }

// Equal tells whether the graph makes both the same.
func (s Size) Equal(o Size) bool { return s.e.equal(o.e) }

// Plus is the sum.
func (s Size) Plus(o Size) Size { return Size{s.e.plus(o.e)} }

// Minus is the difference.
func (s Size) Minus(o Size) Size { return Size{s.e.minus(o.e)} }

// AtMost is the smaller one of the size and n, which is no less than 0.
func (s Size) AtMost(n int64) Size { return Size{s.e.least(n)} }

// String is the expression, "?" where nothing is known.
func (s Size) String() string { return s.e.String() }

// symbolOf is the size of dimension axis of an input before anything is known of
// it.
func symbolOf(input string, axis int) string { return fmt.Sprintf("%d(%s)", axis, input) }

// Trace is what a graph's nodes force the sizes of its inputs to be, whatever the
// file calls them.
type Trace struct {
	scope  *scope
	tracer *tracer
}

// Follow gives every open dimension of m's inputs a symbol of its own, infers
// shapes as [Infer] does, and collects what the nodes want to be the same: the
// dimensions that a Concat does not join, both sides of a MatMul, and, since
// exporters rarely mean to stretch a length, two lengths that an elementwise
// operation pairs. Names of dimensions, value_info and the outputs' declarations
// are not looked at, and operators that are not known end a trail without an
// error. m stays as it is.
//
// Last, and only where nothing else says how long it is, an axis is taken to be as
// long as what the graph selects from it, as in mask[:, :total].
//
// Equations that are not linear are passed over, and so is what contradicts an
// equation before it.
func Follow(m *onnx.Model) *Trace {
	t := &tracer{solved: map[string]expr{}, order: map[string]int{}}
	i := &inferrer{opset: m.Opset(), reported: map[*value]bool{}, trace: t}
	var s *scope
	for range maxRounds {
		s = weights(m)
		for _, in := range m.Graph().GetInput() {
			if s.values[in.GetName()] == nil {
				s.values[in.GetName()] = t.input(in)
			}
		}
		t.firm, t.loose, t.far, t.limits = nil, nil, nil, nil
		i.graph(m.Graph(), s)
		if !t.solve() {
			break
		}
	}
	return &Trace{scope: s, tracer: t}
}

// Dims are the sizes of a value of the main graph; nil where its rank is not
// known.
func (t *Trace) Dims(name string) []Size { return t.sizes(t.scope.find(name).dims) }

// Ints are the elements of a small integer value of rank 0 or 1; nil where they
// depend on the data.
func (t *Trace) Ints(name string) []Size { return t.sizes(t.scope.find(name).ints) }

func (t *Trace) sizes(all []expr) []Size {
	if all == nil {
		return nil
	}
	out := make([]Size, len(all))
	for i, e := range all {
		out[i] = Size{t.tracer.known(e)}
	}
	return out
}

// tracer collects equations and solves them.
type tracer struct {
	solved           map[string]expr // what a symbol is, in symbols that may be solved, too
	order            map[string]int  // of a symbol among those of all inputs
	firm, loose, far [][2]expr
	limits           []Limit
}

// input is an input whose open dimensions have symbols of their own.
func (t *tracer) input(info *onnxpb.ValueInfoProto) *value {
	v := fromInfo(info)
	for i, d := range v.dims {
		if _, fixed := d.value(); fixed {
			continue
		}
		name := symbolOf(info.GetName(), i)
		if _, known := t.order[name]; !known {
			t.order[name] = len(t.order)
		}
		v.dims[i] = t.known(symbol(name))
	}
	return v
}

func (t *tracer) equal(a, b expr) { t.firm = note(t.firm, a, b) }

func (t *tracer) stretched(a, b expr) { t.loose = note(t.loose, a, b) }

func note(list [][2]expr, a, b expr) [][2]expr {
	if a.known && b.known && len(list) < maxEquations && !a.equal(b) {
		return append(list, [2]expr{a, b})
	}
	return list
}

// solve uses the equations, the firm ones first, and tells whether there was
// anything to learn.
func (t *tracer) solve() bool {
	learned := false
	for _, q := range slices.Concat(t.firm, t.loose) {
		learned = t.use(t.known(q[0]).minus(t.known(q[1]))) || learned
	}
	if learned {
		return true // what is weaker waits until the rest is known
	}
	for _, q := range t.far {
		for _, e := range byDegree(t.known(q[0]).minus(t.known(q[1]))) {
			learned = t.use(e) || learned
		}
	}
	return learned
}

// use solves e = 0 for one symbol.
func (t *tracer) use(e expr) bool {
	e = reduced(e)
	best, rank := -1, -1
	for i, x := range e.terms {
		if len(x.symbols) != 1 || x.factor != 1 && x.factor != -1 || occurrences(e, x.symbols[0]) > 1 {
			continue
		}
		r := t.order[x.symbols[0]]
		if positive(e, i) {
			r += len(t.order) // a length that is a sum is better than one that is a difference
		}
		if r > rank {
			best, rank = i, r
		}
	}
	if best < 0 || e.terms[best].symbols == nil {
		return false
	}
	x := e.terms[best]
	if _, ours := t.order[x.symbols[0]]; !ours {
		return false // min(1, s) and such
	}
	rest := expr{known: true, terms: slices.Delete(slices.Clone(e.terms), best, best+1)}
	t.solved[x.symbols[0]] = rest.times(constant(-x.factor))
	return true
}

// reduced is e without the factors that all its terms share: a product is zero
// where one of them is, and a graph of no elements forces nothing.
func reduced(e expr) expr {
	if !e.known || len(e.terms) == 0 {
		return e
	}
	shared := slices.Clone(e.terms[0].symbols)
	divisor := int64(0)
	for _, x := range e.terms {
		shared = slices.DeleteFunc(shared, func(s string) bool { return !slices.Contains(x.symbols, s) })
		divisor = gcd(divisor, x.factor)
	}
	if d := e.over(expr{known: true, terms: []term{{symbols: slices.Compact(shared), factor: max(divisor, 1)}}}); d.known {
		return d
	}
	return e
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	if a < 0 {
		return -a
	}
	return a
}

func occurrences(e expr, symbol string) (n int) {
	for _, x := range e.terms {
		if slices.Contains(x.symbols, symbol) {
			n++
		}
	}
	return n
}

// positive tells whether term i of e = 0 is a sum of the others.
func positive(e expr, i int) bool {
	for j, x := range e.terms {
		if j != i && (x.factor > 0) == (e.terms[i].factor > 0) {
			return false
		}
	}
	return true
}

// known is e in symbols that are not solved.
func (t *tracer) known(e expr) expr {
	if !e.known || len(t.solved) == 0 {
		return e
	}
	out := constant(0)
	for _, x := range e.terms {
		p := constant(x.factor)
		for _, s := range x.symbols {
			p = p.times(t.resolve(s))
		}
		out = out.plus(p)
	}
	return out
}

// resolve follows a symbol to its end and remembers it. No chain has a circle: a
// symbol is solved once, for symbols that were not.
func (t *tracer) resolve(s string) expr {
	e, ok := t.solved[s]
	if !ok {
		return symbol(s)
	}
	for _, x := range e.terms {
		if slices.ContainsFunc(x.symbols, func(s string) bool { _, more := t.solved[s]; return more }) {
			e = t.known(e)
			t.solved[s] = e
			break
		}
	}
	return e
}
