package contract

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// symbols holds the names of dimensions against the roles that the layout gave
// them: in all inputs one role has one name, no name has two roles, and no name
// says in plain words that it is something else. Outputs may have names of
// their own, since exporters make them up.
func (r *reader) symbols() {
	names := map[Role]string{} // of the inputs
	roles := map[string]Role{}
	holder := map[Role]string{}
	r.all(func(t *Tensor, input bool) {
		for i, d := range t.Dims {
			if t.Kind == KindOther || d.Symbol == "" {
				continue
			}
			if hint := spoken(d.Symbol); hint != "" && !fits(hint, d.Role, r.cached) {
				r.bad("%s: dimension %d is called %q, but the layout of %s makes it %s", t.Name, i, d.Symbol, t.Kind, d.Role)
				continue
			}
			if role, known := roles[d.Symbol]; known && role != d.Role {
				r.bad("%s: dimension %d is called %q, which elsewhere is %s, not %s", t.Name, i, d.Symbol, role, d.Role)
				continue
			}
			if generated.MatchString(d.Symbol) {
				roles[d.Symbol] = d.Role
				continue
			}
			if name, known := names[d.Role]; input && known && name != d.Symbol {
				r.bad("%s: dimension %d is called %q, but %s in %s is %q", t.Name, i, d.Symbol, d.Role, holder[d.Role], name)
				continue
			}
			if input {
				names[d.Role], roles[d.Symbol], holder[d.Role] = d.Symbol, d.Role, t.Name
			}
		}
	})
	r.sum(names)
	r.adopt(roles)
}

// generated are names that torch.export makes up, one for each dimension that
// it did not see to be equal to another.
var generated = regexp.MustCompile(`^[su]\d+$`)

// sum checks a total that is written as one: "past + sequence".
func (r *reader) sum(names map[Role]string) {
	total := names[Total]
	if !strings.Contains(total, "+") {
		return
	}
	want := []string{names[Past], names[Seq]}
	for _, t := range r.c.Inputs {
		if t.Kind == KindIDs && len(t.Dims) == 2 && t.Dims[1].Size > 0 {
			want[1] = strconv.FormatInt(t.Dims[1].Size, 10)
		}
	}
	if slices.Contains(want, "") {
		return // unnamed dimensions say nothing
	}
	got := strings.Split(total, "+")
	for i := range got {
		got[i] = strings.TrimSpace(got[i])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.bad("a dimension is called %q, which is not the sum of past (%q) and sequence (%q)", total, names[Past], names[Seq])
	}
}

// adopt gives outputs of unknown name the roles of their symbols. What nobody
// fetches may be of any size: a symbol without a role is left without one.
func (r *reader) adopt(roles map[string]Role) {
	for _, t := range r.c.Outputs {
		for i, d := range t.Dims {
			if t.Kind == KindOther && d.Symbol != "" {
				t.Dims[i].Role = roles[d.Symbol]
			}
		}
	}
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
// is said of any length, and without a cache total and sequence are the same.
func fits(hint, role Role, cached bool) bool {
	switch hint {
	case role:
		return true
	case Seq:
		return role == Total
	case Total:
		return role == Seq && !cached
	}
	return false
}
