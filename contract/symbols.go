package contract

import (
	"regexp"
	"strconv"
	"strings"
)

// generated are names that torch.export makes up, one for each dimension that
// it did not see to be equal to another.
var generated = regexp.MustCompile(`^[su]\d+$`)

// sum checks totals that are written as one: "past + sequence". Terms of which
// nothing is known say nothing.
func (r *reader) sum() {
	r.all(func(t *Tensor, input bool) {
		for i, d := range t.Dims {
			if d.Role != Total || d.Source == Bound || strings.Count(d.Symbol, "+") != 1 {
				continue
			}
			a, b, _ := strings.Cut(d.Symbol, "+")
			x, y := r.term(strings.TrimSpace(a)), r.term(strings.TrimSpace(b))
			if x == "" || y == "" || x == Past && y == Seq || x == Seq && y == Past {
				continue
			}
			r.report(t, i, input, Total, "is called %q, which is not the sum of past (%q) and sequence (%q)", d.Symbol, r.names[Past], r.names[Seq])
		}
	})
}

// term is what one side of a sum is; a number is the sequence where that is fixed
// at it.
func (r *reader) term(name string) Role {
	n, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return r.named[name]
	}
	for _, t := range r.c.Inputs {
		if t.Kind == KindIDs && len(t.Dims) == 2 && t.Dims[1].Size == n {
			return Seq
		}
	}
	return Static
}

var words = []struct {
	pattern *regexp.Regexp
	role    Role
}{
	{regexp.MustCompile(`(?i)batch`), Batch},
	{regexp.MustCompile(`\+|(?i)total`), Total},
	{regexp.MustCompile(`(?i)past|cache`), Past},
	{regexp.MustCompile(`(?i)seq`), Seq},
}

// spoken is the role that a name says in plain words, or "".
func spoken(symbol string) Role {
	for _, w := range words {
		if w.pattern.MatchString(symbol) {
			return w.role
		}
	}
	return ""
}

// fits tells whether a name that says hint may stand where role is. "Sequence"
// is said of any length, without a cache total and sequence are the same, and a
// buffer is called after what it holds.
func (r *reader) fits(hint, role Role) bool {
	switch hint {
	case role:
		return true
	case Seq:
		return role == Total || role == Buffer
	case Total:
		return role == Seq && !r.cached || role == Buffer
	case Past:
		return role == Buffer
	}
	return false
}
