package shape

import (
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Bounds of an expression, far above what shapes need: a file may multiply its
// dimensions as often as it likes. What is beyond them is not known.
const (
	maxTerms  = 16
	maxDegree = 8
	maxSymbol = 256 // bytes
)

// expr is an integer that depends on symbols: a sum of products with constant
// factors, as in "2*batch + past + seq". Its zero value is not known. A symbol
// stands for a dimension and is zero or more.
type expr struct {
	known bool
	terms []term // by symbols, without zero factors; none is 0
}

type term struct {
	symbols []string // sorted; none for the constant
	factor  int64
}

func constant(n int64) expr {
	e := expr{known: true}
	if n != 0 {
		e.terms = []term{{factor: n}}
	}
	return e
}

func symbol(name string) expr {
	if name == "" || len(name) > maxSymbol {
		return expr{}
	}
	return expr{known: true, terms: []term{{symbols: []string{name}, factor: 1}}}
}

// value is the expression's value if that is a constant.
func (e expr) value() (int64, bool) {
	switch {
	case !e.known || len(e.terms) > 1:
		return 0, false
	case len(e.terms) == 0:
		return 0, true
	}
	return e.terms[0].factor, len(e.terms[0].symbols) == 0
}

// is tells whether e is known to be n.
func (e expr) is(n int64) bool {
	v, ok := e.value()
	return ok && v == n
}

// equal tells whether both are known to be the same.
func (e expr) equal(o expr) bool { return e.minus(o).is(0) }

// atLeast tells whether e is known not to be below n whatever its symbols are.
func (e expr) atLeast(n int64) bool {
	if !e.known {
		return false
	}
	low := int64(0)
	for _, t := range e.terms {
		switch {
		case len(t.symbols) == 0:
			low = t.factor
		case t.factor < 0:
			return false
		}
	}
	return low >= n
}

func (e expr) plus(o expr) expr {
	if !e.known || !o.known {
		return expr{}
	}
	return collect(append(slices.Clone(e.terms), o.terms...))
}

func (e expr) minus(o expr) expr { return e.plus(o.times(constant(-1))) }

func (e expr) times(o expr) expr {
	if !e.known || !o.known {
		return expr{}
	}
	var all []term
	for _, a := range e.terms {
		for _, b := range o.terms {
			f, ok := multiply(a.factor, b.factor)
			if !ok || len(a.symbols)+len(b.symbols) > maxDegree {
				return expr{}
			}
			s := slices.Concat(a.symbols, b.symbols)
			slices.Sort(s)
			all = append(all, term{s, f})
		}
	}
	return collect(all)
}

// collect adds up what has the same symbols.
func collect(all []term) expr {
	slices.SortFunc(all, func(a, b term) int { return slices.Compare(a.symbols, b.symbols) })
	out := expr{known: true}
	for _, t := range all {
		last := len(out.terms) - 1
		if last < 0 || !slices.Equal(out.terms[last].symbols, t.symbols) {
			out.terms = append(out.terms, t)
			continue
		}
		f, ok := sum(out.terms[last].factor, t.factor)
		if !ok {
			return expr{}
		}
		if out.terms[last].factor = f; f == 0 {
			out.terms = out.terms[:last]
		}
	}
	if len(out.terms) > maxTerms {
		return expr{}
	}
	return out
}

// over is the quotient by a product; not known where that leaves a rest.
func (e expr) over(o expr) expr {
	if !e.known || !o.known || len(o.terms) != 1 {
		return expr{}
	}
	by := o.terms[0]
	var all []term
	for _, t := range e.terms {
		s := slices.Clone(t.symbols)
		for _, x := range by.symbols {
			i := slices.Index(s, x)
			if i < 0 {
				return expr{}
			}
			s = slices.Delete(s, i, i+1)
		}
		if by.factor == -1 || t.factor%by.factor != 0 {
			return expr{}
		}
		all = append(all, term{s, t.factor / by.factor})
	}
	return collect(all)
}

// least is min(n, e) for a constant n >= 0 and a dimension e, which is no less
// than 0 either: both may become a symbol.
func (e expr) least(n int64) expr {
	v, ok := e.value()
	switch {
	case ok:
		return constant(min(v, n))
	case !e.known:
		return e
	case e.atLeast(n):
		return constant(n)
	}
	return symbol("min(" + strconv.FormatInt(n, 10) + ", " + e.String() + ")")
}

// orZero is max(0, e).
func (e expr) orZero() expr {
	v, ok := e.value()
	switch {
	case ok:
		return constant(max(0, v))
	case !e.known || e.atLeast(0):
		return e
	}
	return symbol("max(0, " + e.String() + ")")
}

// String puts what is added before what is taken away, and constants last.
func (e expr) String() string {
	if !e.known {
		return "?"
	}
	if len(e.terms) == 0 {
		return "0"
	}
	order := slices.Clone(e.terms)
	slices.SortStableFunc(order, func(a, b term) int { return rank(a) - rank(b) })
	var b strings.Builder
	for i, t := range order {
		switch {
		case i > 0 && t.factor < 0:
			b.WriteString(" - ")
		case i > 0:
			b.WriteString(" + ")
		case t.factor < 0:
			b.WriteString("-")
		}
		t.print(&b)
	}
	return b.String()
}

func rank(t term) int {
	switch {
	case len(t.symbols) == 0:
		return 2
	case t.factor < 0:
		return 1
	}
	return 0
}

// print writes the term without its sign.
func (t term) print(b *strings.Builder) {
	parts := t.symbols
	if t.factor != 1 && t.factor != -1 || len(parts) == 0 {
		parts = append([]string{strings.TrimPrefix(strconv.FormatInt(t.factor, 10), "-")}, parts...)
	}
	b.WriteString(strings.Join(parts, "*"))
}

func multiply(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 || lo > math.MaxInt64 {
		return 0, false
	}
	return a * b, true
}

func magnitude(a int64) uint64 {
	if a < 0 {
		return -uint64(a)
	}
	return uint64(a)
}

func sum(a, b int64) (int64, bool) {
	c := a + b
	return c, (c > a) == (b > 0)
}
