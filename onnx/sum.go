package onnx

import (
	"fmt"
	"slices"
	"strings"
)

// sum is the size of a dimension, or an element of a shape tensor: a constant
// and multiples of symbols. The zero value is the constant 0.
type sum struct {
	constant int64
	terms    map[string]int64 // never with a factor of 0
	unknown  bool             // equals nothing, not even another unknown one
}

func constant(n int64) sum { return sum{constant: n} }

// sumOf reads a dimension: "past_sequence_length + sequence_length" is a sum of
// two symbols; what has other signs in it is one symbol.
func sumOf(d Dim) sum {
	if d.Symbol == "" {
		return sum{constant: d.Size, unknown: d.Size < 0}
	}
	s := constant(0)
	for _, part := range strings.Split(d.Symbol, "+") {
		s = s.plus(sum{terms: map[string]int64{strings.TrimSpace(part): 1}}, 1)
	}
	return s
}

// fixed is the constant, where s is one.
func (s sum) fixed() (int64, bool) { return s.constant, !s.unknown && len(s.terms) == 0 }

func (s sum) is(n int64) bool {
	c, ok := s.fixed()
	return ok && c == n
}

func (s sum) equal(o sum) bool { return s.plus(o, -1).is(0) }

// plus is s + factor * o.
func (s sum) plus(o sum, factor int64) sum {
	if s.unknown || o.unknown {
		return sum{unknown: true}
	}
	r := sum{constant: s.constant + factor*o.constant, terms: map[string]int64{}}
	for name, n := range s.terms {
		r.terms[name] = n
	}
	for name, n := range o.terms {
		if r.terms[name] += factor * n; r.terms[name] == 0 {
			delete(r.terms, name)
		}
	}
	return r
}

// times is s * o, known where one of them is a constant.
func (s sum) times(o sum) sum {
	if n, ok := o.fixed(); ok {
		return constant(0).plus(s, n)
	}
	if n, ok := s.fixed(); ok {
		return constant(0).plus(o, n)
	}
	return sum{unknown: true}
}

// dim is the sum as ONNX states it; of size -1 where it is not known. A sum
// with something other than symbols in it is stated too: a reader that knows
// its symbols sees more than one that is told nothing.
func (s sum) dim() Dim {
	if n, ok := s.fixed(); ok || s.unknown {
		if s.unknown || n < 0 {
			return Fixed(-1)
		}
		return Fixed(n)
	}
	names := make([]string, 0, len(s.terms))
	for name := range s.terms {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		term(&b, s.terms[name], name)
	}
	if s.constant != 0 {
		term(&b, s.constant, "")
	}
	return Sym(b.String())
}

// term appends n times a symbol, or n.
func term(b *strings.Builder, n int64, symbol string) {
	sign := " + "
	if n < 0 {
		sign, n = " - ", -n
	}
	if b.Len() == 0 {
		sign = strings.TrimLeft(strings.TrimRight(sign, " "), " +")
	}
	b.WriteString(sign)
	switch {
	case symbol == "":
		_, _ = fmt.Fprint(b, n)
	case n == 1:
		b.WriteString(symbol)
	default:
		_, _ = fmt.Fprintf(b, "%d*%s", n, symbol)
	}
}

// quotient is the product of all over the product of by, where factors cancel
// so far that one remains.
func quotient(all, by []sum) sum {
	n, d := int64(1), int64(1)
	var rest []sum
	for _, s := range all {
		if c, ok := s.fixed(); ok {
			n *= c
		} else {
			rest = append(rest, s)
		}
	}
	for _, s := range by {
		if c, ok := s.fixed(); ok {
			d *= c
			continue
		}
		i := slices.IndexFunc(rest, s.equal)
		if i < 0 {
			return sum{unknown: true}
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if d == 0 || n%d != 0 || len(rest) > 1 {
		return sum{unknown: true}
	}
	if len(rest) == 0 {
		return constant(n / d)
	}
	return rest[0].times(constant(n / d))
}
