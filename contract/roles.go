package contract

import "fmt"

// roles says what every dimension is. The strongest voice wins: a binding, then
// what the nodes force, then the layout of its kind, then its name. Voices that
// contradict each other are reported, the name among them.
func (r *reader) roles() {
	r.names = map[Role]string{}
	r.named = map[string]Role{}
	r.holder = map[Role]string{}
	for _, weak := range []bool{false, true} { // names that nodes confirm explain the others
		r.all(func(t *Tensor, input bool) {
			if (t.Kind == KindOther) == weak {
				r.tensor(t, input)
			}
		})
	}
	r.sum()
}

// voices are what is said of one dimension.
type voices struct {
	graph, layout, name Role
	size                int64 // that the nodes force; 0 = none
}

func (r *reader) tensor(t *Tensor, input bool) {
	sizes := r.flow.trace.Dims(t.Name)
	layout := r.layout(t)
	if layout != nil && len(layout) != len(t.Dims) {
		r.bad("%s: it has %d dimensions, %s has %d", t.Name, len(t.Dims), t.Kind, len(layout))
		layout = nil
	}
	for i := range t.Dims {
		v := voices{name: r.spoken(t.Dims[i].Symbol)}
		if layout != nil {
			v.layout = layout[i]
		}
		if len(sizes) == len(t.Dims) {
			v.graph = r.measured(sizes[i])
			if n, fixed := sizes[i].Value(); fixed {
				v.size = n
			}
		}
		r.dimension(t, i, v, input)
	}
}

// spoken is the role that a symbol has elsewhere.
func (r *reader) spoken(symbol string) Role {
	if symbol == "" {
		return ""
	}
	return r.named[symbol]
}

func (r *reader) dimension(t *Tensor, i int, v voices, input bool) {
	d := &t.Dims[i]
	if b, ok := r.binds[t.Name][i]; ok && input {
		r.bindTo(t, i, b, v)
		return
	}
	fixed := d.Size > 0
	switch {
	case fixed && v.layout != "":
		d.Role = v.layout
	case fixed:
		d.Role = Static
	case t.Kind == KindMask && v.graph == Total && v.layout == Buffer && r.shared && !r.static:
		d.Role, d.Source = Total, FromGraph
	case r.contradicted(t, i, v, input):
	case v.layout == Static || v.layout == "" && v.graph == "" && v.size > 0:
		r.constant(t, i, v, input)
	case v.graph != "":
		d.Role, d.Source = v.graph, FromGraph
	default:
		r.byName(t, i, v, input)
	}
	if d.Role != "" && d.Symbol != "" && !r.learn(t, i, input) {
		d.Role, d.Source = "", ""
	}
}

// bindTo takes a caller's word, unless the nodes prove another: a plan for what
// the graph cannot be would fail at run time.
func (r *reader) bindTo(t *Tensor, i int, b Binding, v voices) {
	d := &t.Dims[i]
	if b.Role != "" && b.Role != Static && v.graph != "" && b.Role != v.graph {
		r.bad("%s: dimension %d is bound to %s, and the graph makes it %s: leave that binding out", t.Name, i, b.Role, v.graph)
		return
	}
	d.Role, d.Limits, d.Source = b.Role, b.Limits, Bound
	if n, ok := r.forced(t.Name, i); ok && d.Role == Static {
		d.Size = n
	}
	if b.Size > 0 {
		d.Size = b.Size
	}
	if d.Role != "" {
		return
	}
	for _, role := range []Role{v.graph, v.layout, Static} { // a size of whatever it is
		if role != "" {
			d.Role = role
			return
		}
	}
}

// contradicted holds the voices against each other. Where it reports something,
// the dimension stays without a role.
func (r *reader) contradicted(t *Tensor, i int, v voices, input bool) bool {
	d := t.Dims[i]
	fact := v.graph
	if fact == "" {
		fact = v.layout
	}
	if v.graph != "" && v.layout != "" && v.graph != v.layout {
		r.report(t, i, input, v.graph, "is %s in the graph, where %s has %s", v.graph, t.Kind, v.layout)
		return input
	}
	if fact == "" || d.Symbol == "" {
		return false
	}
	if hint := spoken(d.Symbol); hint != "" && !r.fits(hint, fact) && fact != Static {
		r.report(t, i, input, fact, "is called %q, and %s makes it %s", d.Symbol, r.because(t, v), fact)
		return input
	}
	if v.name != "" && v.name != fact {
		r.report(t, i, input, fact, "is called %q, which elsewhere is %s, and %s makes it %s", d.Symbol, v.name, r.because(t, v), fact)
		return input
	}
	return false
}

func (r *reader) because(t *Tensor, v voices) string {
	if v.graph != "" {
		return "the graph"
	}
	return "the layout of " + string(t.Kind)
}

// report is a contradiction. An input's must be settled, by a binding; how long
// an output is turns out, whatever it is called, so there it is a doubt.
func (r *reader) report(t *Tensor, i int, input bool, answer Role, format string, args ...any) {
	if input {
		r.ask(t, i, r.answer(t, i, answer), format, args...)
		return
	}
	id := fmt.Sprintf("%s %d", t.Name, i)
	if len(r.c.Doubts) < maxWrong && !r.doubted[id] {
		r.doubted[id] = true
		r.c.Doubts = append(r.c.Doubts, fmt.Sprintf("%s: dimension %d %s", t.Name, i, fmt.Sprintf(format, args...)))
	}
}

// answer is what a binding would say: a role, or the size of what is static.
func (r *reader) answer(t *Tensor, i int, role Role) string {
	if role != Static {
		return string(role)
	}
	if n, ok := r.forced(t.Name, i); ok {
		return fmt.Sprint(n)
	}
	return "SIZE"
}

// forced is the size that the nodes give a dimension that the file leaves open.
func (r *reader) forced(name string, i int) (int64, bool) {
	if dims := r.flow.trace.Dims(name); i < len(dims) {
		return dims[i].Value()
	}
	return 0, false
}

// constant is a dimension that the file leaves open and the nodes do not.
func (r *reader) constant(t *Tensor, i int, v voices, input bool) {
	d := &t.Dims[i]
	switch {
	case v.size > 0:
		d.Role, d.Size, d.Source = Static, v.size, FromGraph
	case input && v.graph != "":
		r.ask(t, i, string(v.graph), "is %s in the graph, and of fixed size in the layout of %s", v.graph, t.Kind)
	case input:
		r.ask(t, i, "SIZE", "%s and the graph does not fix its size", described(*d))
	default:
		r.bad("%s: dimension %d %s, want a fixed size", t.Name, i, described(*d))
	}
}

// byName is a dimension that no node links to another: the layout of its kind,
// or what its name says.
func (r *reader) byName(t *Tensor, i int, v voices, input bool) {
	d := &t.Dims[i]
	role := v.name
	if role == "" {
		role = spoken(d.Symbol)
	}
	switch {
	case input && r.isPast(t) && r.undone && v.layout == Past:
		r.open(t, i)
		return
	case v.layout != "" && r.sure(t, i, v, role):
		role = v.layout
	case v.layout != "" && input:
		r.ask(t, i, string(v.layout), "%s, and no node says that it is %s", described(*d), v.layout)
		return
	case v.layout != "":
		role = v.layout // of an output, which is as long as it turns out
	case role == "" && input && !r.decoder && len(t.Dims) > 0:
		role = Free
	case role == "" && input:
		r.ask(t, i, "batch|seq|past|total|buffer|SIZE|MIN..MAX", "%s, and neither names nor nodes say what it is", described(*d))
		return
	}
	if v.layout == "" && input && role != Free && r.twice(t, i, role) {
		return
	}
	if d.Role = role; role != "" && role != Free {
		d.Source = FromName
	}
}

// twice reports a role that only a name gives and another dimension of the tensor
// has already.
func (r *reader) twice(t *Tensor, i int, role Role) bool {
	for k, d := range t.Dims {
		if k != i && d.Role == role {
			r.ask(t, i, "MIN..MAX|SIZE|seq|past|total", "%s, but dimension %d is %s", described(t.Dims[i]), k, role)
			return true
		}
	}
	return false
}

// sure tells whether the layout of a kind may be believed without a node that
// confirms it: where the tensor or the dimension is called so. Ids are what they
// are by the rows that they select, and a cache by what it becomes.
func (r *reader) sure(t *Tensor, i int, v voices, name Role) bool {
	if t.Kind == KindIDs || r.isPast(t) && (v.layout == Past || v.layout == Buffer) {
		return true
	}
	named, _ := kindOf(t.Name, naming[true])
	return named == t.Kind || name == v.layout || name == Seq && v.layout == Total && spoken(t.Dims[i].Symbol) == Total
}

// open is a past whose operator takes both a cache that grows and one that does
// not. The answer for one tensor holds for all.
func (r *reader) open(t *Tensor, i int) {
	r.undone = false
	r.ask(t, i, "past|buffer", "%s, and the operator takes both: past for a cache that grows with each call, buffer for one of full length that past and present share (one answer is enough)", described(t.Dims[i]))
}

// learn keeps the name of a role. Inputs have one name for a role, and a role
// for a name; what nodes confirm, what exporters make up and what is called by
// several names of one kind may have others.
func (r *reader) learn(t *Tensor, i int, input bool) bool {
	d := t.Dims[i]
	if role, known := r.named[d.Symbol]; known && role != d.Role {
		if t.Kind != KindOther || input {
			r.report(t, i, input, d.Role, "is called %q, which elsewhere is %s, not %s", d.Symbol, role, d.Role)
			return !input
		}
		return true
	}
	if d.Role == Static || d.Role == Free || !input && generated.MatchString(d.Symbol) {
		return true
	}
	if name, known := r.names[d.Role]; input && known && name != d.Symbol && d.Source == FromName && !generated.MatchString(d.Symbol) && t.Kind != KindOther {
		r.report(t, i, input, d.Role, "is called %q, but %s in %s is %q", d.Symbol, d.Role, r.holder[d.Role], name)
		return false
	}
	if input {
		r.named[d.Symbol] = d.Role
		if _, known := r.names[d.Role]; !known {
			r.names[d.Role], r.holder[d.Role] = d.Symbol, t.Name
		}
	}
	return true
}
