package shape

import (
	"strconv"
	"strings"
)

// parseExpr reads what [expr.String] writes and exporters put into dimensions:
// "seq", "past + seq", "2*batch - 1". Everything else is one symbol.
func parseExpr(s string) expr {
	p := &exprParser{rest: s}
	if e := p.sum(); e.known && p.space() == "" {
		return e
	}
	return symbol(s)
}

type exprParser struct{ rest string }

func (p *exprParser) space() string {
	p.rest = strings.TrimLeft(p.rest, " ")
	return p.rest
}

// take passes over one of the characters.
func (p *exprParser) take(set string) byte {
	if s := p.space(); s != "" && strings.IndexByte(set, s[0]) >= 0 {
		p.rest = s[1:]
		return s[0]
	}
	return 0
}

func (p *exprParser) sum() expr {
	e := constant(0)
	sign := p.take("-")
	for {
		t := p.product()
		if sign == '-' {
			t = t.times(constant(-1))
		}
		e = e.plus(t)
		if sign = p.take("+-"); sign == 0 || !e.known {
			return e
		}
	}
}

func (p *exprParser) product() expr {
	e := p.atom()
	for e.known && p.take("*") != 0 {
		e = e.times(p.atom())
	}
	return e
}

// atom is a number, a name, or a name with what is in parentheses behind it.
func (p *exprParser) atom() expr {
	s := p.space()
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] == '.' || s[n] >= '0' && s[n] <= '9' ||
		s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || s[n] >= 0x80) {
		n++
	}
	word := s[:n]
	if v, err := strconv.ParseInt(word, 10, 64); err == nil {
		p.rest = s[n:]
		return constant(v)
	}
	if word == "" || word[0] >= '0' && word[0] <= '9' {
		return expr{}
	}
	for depth := 0; n < len(s) && (depth > 0 || s[n] == '('); n++ {
		switch s[n] {
		case '(':
			depth++
		case ')':
			depth--
		}
	}
	p.rest = s[n:]
	return symbol(s[:n])
}
