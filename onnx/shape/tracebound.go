package shape

import (
	"math"

	"github.com/trtforge/trtforge/onnx"
)

// Limit is an axis of fixed size, of a table say, from which the graph selects
// places up to Need, which is not fixed.
type Limit struct {
	Size int64
	Need Size
}

// Limits are the limits of the graph's fixed axes, in the order of its nodes.
func (t *Trace) Limits() []Limit {
	out := make([]Limit, 0, len(t.tracer.limits))
	for _, l := range t.tracer.limits {
		if l.Need.e = t.tracer.known(l.Need.e); l.Need.Known() {
			out = append(out, l)
		}
	}
	return out
}

// reach notes that an axis of size d is used up to top.
func (t *tracer) reach(d, top expr) {
	if !top.known {
		return
	}
	_, constantTop := top.value()
	switch n, fixed := d.value(); {
	case constantTop:
	case fixed && len(t.limits) < maxEquations:
		t.limits = append(t.limits, Limit{n, Size{top}})
	case !fixed:
		t.far = note(t.far, d, top)
	}
}

// cut is the length from start to end of an axis of size d, if both are inside.
func (t *tracer) cut(d, start, end expr) expr {
	if n, ok := end.value(); ok && n >= math.MaxInt32 {
		end = d
	}
	if !d.known || !end.known || !start.known || negative(start) || negative(end) {
		return expr{}
	}
	t.reach(d, end)
	return end.minus(start)
}

func negative(e expr) bool {
	n, ok := e.value()
	return ok && n < 0
}

// bound finds what the integers that a node makes stay below, and what that says
// of an axis that they select from.
func (t *tracer) bound(s *site) {
	if len(s.out) == 0 || len(s.in) == 0 || s.in[0] == nil {
		return
	}
	x, out := s.in[0], s.out[0]
	switch s.GetOpType() {
	case "Range":
		if s.has(2) && s.in[2].scalar().is(1) {
			out.top = s.in[1].scalar()
		}
	case "Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Flatten", "Slice", "Transpose", "Tile":
		out.top, out.tops = x.top, x.tops
		if s.GetOpType() == "Transpose" {
			out.tops = nil
		}
	case "Add", "Sub", "Mul":
		if s.has(1) {
			out.top = combined(s.GetOpType(), x, s.in[1])
		}
	case "Concat":
		out.tops = columns(s)
	case "Gather":
		t.gathered(s)
	case "GatherND":
		if s.has(1) && onnx.AttrInt(s.NodeProto, "batch_dims", 0) == 0 {
			for i, top := range s.in[1].tops {
				if i < len(x.dims) {
					t.reach(x.dims[i], top)
				}
			}
		}
	}
}

// combined is the bound of a sum, a difference or a product.
func combined(op string, x, y *value) expr {
	one := constant(1)
	if !x.top.known && op != "Sub" {
		x, y = y, x
	}
	n := y.scalar()
	switch {
	case !x.top.known:
		return expr{}
	case op == "Mul":
		return x.top.minus(one).times(n).plus(one)
	case op == "Sub":
		return x.top.minus(n)
	case n.known:
		return x.top.plus(n)
	}
	return x.top.plus(y.top).minus(one)
}

// columns are the bounds of indices that are put side by side, one of each.
func columns(s *site) []expr {
	var tops []expr
	for _, x := range s.in {
		if x == nil || len(x.dims) == 0 || !x.dims[len(x.dims)-1].is(1) || len(tops) > maxRank {
			return nil
		}
		if axis, err := s.axis(0, len(x.dims)); err != nil || axis != len(x.dims)-1 {
			return nil
		}
		tops = append(tops, x.top)
	}
	return tops
}

func (t *tracer) gathered(s *site) {
	x := s.in[0]
	if !s.has(1) || len(x.dims) == 0 {
		return
	}
	if axis, err := s.axis(0, len(x.dims)); err == nil {
		t.reach(x.dims[axis], s.in[1].top)
		s.out[0].top = x.top
	}
}

// byDegree takes apart an equation of a flattened index, row * width + column =
// rows * width: what is multiplied and what is not are each the same.
func byDegree(e expr) []expr {
	if !e.known {
		return nil
	}
	high, low := expr{known: true}, expr{known: true}
	for _, x := range e.terms {
		if len(x.symbols) > 1 {
			high.terms = append(high.terms, x)
		} else {
			low.terms = append(low.terms, x)
		}
	}
	return []expr{high, low}
}
