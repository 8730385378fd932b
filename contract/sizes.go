package contract

import "github.com/trtforge/trtforge/onnx/shape"

// measure finds the sizes that roles stand for, in the symbols of the trace: batch
// and seq where the ids are, past where new keys are put behind it, and what is
// bound.
func (r *reader) measure() {
	r.sizes = map[Role]shape.Size{}
	r.share()
	for i := range r.c.Inputs {
		t := &r.c.Inputs[i]
		dims := r.flow.trace.Dims(t.Name)
		if len(dims) != len(t.Dims) {
			continue
		}
		for axis, role := range r.anchors(i, t) {
			r.size(role, dims[axis])
		}
	}
	if r.cached && !r.shared {
		if s := r.sizes[Past].Plus(r.sizes[Seq]); s.Known() {
			r.sizes[Total] = s
		}
	} else if !r.cached {
		delete(r.sizes, Total)
	}
}

// size keeps the first size of a role. A constant is no length of its own: other
// dimensions may be the same by accident.
func (r *reader) size(role Role, s shape.Size) {
	if _, fixed := s.Value(); fixed || !s.Known() || role == Static || role == Free || role == "" || role == Total {
		return
	}
	if _, known := r.sizes[role]; !known {
		r.sizes[role] = s
	}
}

// anchors are the dimensions of an input that are what they are by themselves.
func (r *reader) anchors(i int, t *Tensor) map[int]Role {
	all := map[int]Role{}
	switch {
	case t.Kind == KindIDs && len(t.Dims) == 2:
		all[0], all[1] = Batch, Seq
	case r.isPast(t) && len(t.Dims) == 4:
		role := Past
		if r.shared {
			role = Buffer
		}
		all[r.lengthAxis(i)] = role
	}
	if r.flow.images[i] {
		all[0] = Batch
	}
	for axis, b := range r.binds[t.Name] {
		if delete(all, axis); b.Role != "" {
			all[axis] = b.Role
		}
	}
	return all
}

func (r *reader) isPast(t *Tensor) bool { return t.Kind == KindPastKey || t.Kind == KindPastValue }

// lengthAxis is the axis of a cache input along which it grows.
func (r *reader) lengthAxis(input int) int {
	for _, p := range r.flow.pairs {
		if p.past == input && p.axis >= 0 && p.axis < 4 {
			return p.axis
		}
	}
	return 2
}

// share decides whether past and present are one buffer: a node writes into it,
// a binding says so, or an operator that can do both has a present of the same
// name or size as its past. Where names say neither, it is asked.
func (r *reader) share() {
	said, open, same := false, false, false
	for _, p := range r.flow.pairs {
		past := &r.c.Inputs[p.past]
		b, bound := r.binds[past.Name][2]
		switch {
		case !r.isPast(past) || len(past.Dims) != 4:
		case p.axis >= 0 && !p.open && b.Role == Buffer:
			r.bad("%s: dimension 2 is bound to buffer, and the graph puts new keys and values behind it: leave that binding out", past.Name)
		case p.axis < 0 || b.Role == Buffer:
			r.shared = true
		case bound:
			said = true
		case p.open:
			one, other := r.samePresent(past, p)
			open = open || !one && !other
			same, said = same || one, said || other
		}
	}
	r.shared = r.shared || same && !said
	for _, t := range r.c.Inputs {
		if b := r.binds[t.Name][2]; r.isPast(&t) && b.Role == Buffer {
			r.shared = true
		}
	}
	r.shared = r.shared || r.static
	r.undone = open && !said && !r.shared
}

// samePresent compares the lengths of a past and its present as the file calls
// them.
func (r *reader) samePresent(past *Tensor, p pair) (same, different bool) {
	for _, out := range r.c.Outputs {
		if r.flow.number[out.Name] != p.present || len(out.Dims) != 4 {
			continue
		}
		a, b := past.Dims[2], out.Dims[2]
		switch {
		case a.Symbol != "" && b.Symbol != "":
			return a.Symbol == b.Symbol, a.Symbol != b.Symbol
		case a.Size > 0 && b.Size > 0:
			return a.Size == b.Size, a.Size != b.Size
		}
		return false, spoken(a.Symbol) == Past
	}
	return false, false
}

// measured is the role whose size a dimension has; "" where the trace does not
// say, or says two.
func (r *reader) measured(s shape.Size) Role {
	found := Role("")
	if _, fixed := s.Value(); fixed || !s.Known() {
		return ""
	}
	for _, role := range []Role{Batch, Seq, Past, Total, Buffer} {
		if size, ok := r.sizes[role]; ok && size.Equal(s) {
			if found != "" {
				return ""
			}
			found = role
		}
	}
	if found == "" && r.cached && r.flow.total.Equal(s) {
		return Total
	}
	return found
}
