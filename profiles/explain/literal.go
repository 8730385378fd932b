package explain

import (
	"regexp/syntax"
)

// required are texts one of which occurs in whatever the expression matches: a
// line without any of them needs no regular expression. None are found where the
// expression can match without minLiteral fixed bytes in a row.
func required(expr string) []string {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	return literals(re.Simplify())
}

func literals(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if s := string(re.Rune); re.Flags&syntax.FoldCase == 0 && len(s) >= minLiteral {
			return []string{s}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return literals(re.Sub[0])
	case syntax.OpAlternate:
		return anyOf(re.Sub)
	case syntax.OpConcat:
		return best(re.Sub)
	}
	return nil
}

// anyOf is the union, if every branch has one.
func anyOf(branches []*syntax.Regexp) (all []string) {
	for _, sub := range branches {
		l := literals(sub)
		if len(l) == 0 {
			return nil
		}
		all = append(all, l...)
	}
	return all
}

// best is the part of a sequence whose shortest literal is longest: the rarest.
func best(parts []*syntax.Regexp) (chosen []string) {
	length := 0
	for _, sub := range parts {
		l := literals(sub)
		shortest := 0
		for i, s := range l {
			if i == 0 || len(s) < shortest {
				shortest = len(s)
			}
		}
		if shortest > length {
			chosen, length = l, shortest
		}
	}
	return chosen
}
