package shape

import (
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

// indexing operators take elements from places.
func indexing(op string) rule {
	switch op {
	case "Gather":
		return gather
	case "GatherElements":
		return func(s *site) error {
			s.give(0, s.take(0).t, s.take(1).dims)
			return nil
		}
	case "GatherND":
		return gatherND
	case "ScatterND", "ScatterElements":
		return func(s *site) error {
			t, err := s.common(0, 2)
			s.give(0, t, s.take(0).dims)
			return err
		}
	case "Slice":
		return slice
	}
	return nil
}

func gather(s *site) error {
	x, at := s.take(0), s.take(1)
	s.give(0, x.t, nil)
	if x.dims == nil || at.dims == nil {
		return nil
	}
	axis, err := s.axis(0, len(x.dims))
	if err != nil {
		return err
	}
	s.give(0, x.t, append(append(slices.Clone(x.dims[:axis]), at.dims...), x.dims[axis+1:]...))
	size, fixed := x.dims[axis].value()
	indices, known := at.fixed()
	var ints []expr
	for _, i := range indices {
		if !fixed {
			break
		}
		if i < -size || i >= size {
			return fmt.Errorf("index %d of an axis of %d", i, size)
		}
		if len(x.ints) == int(size) {
			ints = append(ints, x.ints[(i+size)%size])
		}
	}
	if known && len(ints) == len(indices) && x.ints != nil {
		s.follow(ints)
	}
	return nil
}

func gatherND(s *site) error {
	x, at := s.take(0), s.take(1)
	s.give(0, x.t, nil)
	if x.dims == nil || len(at.dims) == 0 {
		return nil
	}
	batch := onnx.AttrInt(s.NodeProto, "batch_dims", 0)
	depth, ok := at.dims[len(at.dims)-1].value()
	switch {
	case !ok:
		return nil
	case batch < 0 || depth < 0 || depth > maxRank || batch+depth > int64(len(x.dims)) || batch >= int64(len(at.dims)):
		return fmt.Errorf("indices of shape %v for %v", at.dims, x.dims)
	}
	s.give(0, x.t, append(slices.Clone(at.dims[:len(at.dims)-1]), x.dims[batch+depth:]...))
	return nil
}

// slice has starts, ends, axes and steps as inputs, before opset 10 as attributes.
func slice(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if x.dims == nil {
		return nil
	}
	starts, ends := s.bounds("starts", 1), s.bounds("ends", 2)
	var steps []expr
	if s.has(4) {
		steps = s.in[4].ints
	}
	axes, given, err := s.axes(3, len(x.dims))
	if err != nil {
		return err
	}
	n := max(s.count("starts", 1), s.count("ends", 2))
	if !given && n >= 0 && n <= len(x.dims) {
		axes = seq(n)
	}
	if axes == nil {
		s.give(0, x.t, open(len(x.dims)))
		return nil
	}
	dims := slices.Clone(x.dims)
	for i, a := range axes {
		step := constant(1)
		if s.has(4) {
			step = at(steps, i)
		}
		whole := dims[a]
		if dims[a], err = sliced(whole, at(starts, i), at(ends, i), step); err != nil {
			return err
		}
		if t := s.infer.trace; t != nil && !dims[a].known && step.is(1) {
			dims[a] = t.cut(whole, at(starts, i), at(ends, i))
		}
	}
	s.give(0, x.t, dims)
	s.follow(cut(x.ints, starts, ends, steps, s.has(4)))
	return nil
}

// bounds are the elements of an input or an attribute.
func (s *site) bounds(name string, input int) []expr {
	if a := onnx.Attr(s.NodeProto, name); a != nil {
		return constants(a.GetInts())
	}
	return s.take(input).ints
}

func (s *site) count(name string, input int) int {
	if a := onnx.Attr(s.NodeProto, name); a != nil {
		return len(a.GetInts())
	}
	return s.take(input).length()
}

func at(list []expr, i int) expr {
	if i < len(list) {
		return list[i]
	}
	return expr{}
}

// sliced is how many elements lie from start to end on an axis of size d.
func sliced(d, start, end, step expr) (expr, error) {
	by, ok := step.value()
	switch {
	case ok && by == 0:
		return expr{}, fmt.Errorf("step 0")
	case !ok:
		return expr{}, nil
	case by != 1:
		return strided(d, start, end, by), nil
	}
	from, to := start, bound(d, end)
	n, fixed := from.value()
	switch {
	case !to.equal(d) || !fixed || n <= -math.MaxInt32:
	case n < 0: // the last -n
		return d.least(-n), nil
	default: // all but the first n
		return d.minus(constant(n)).orZero(), nil
	}
	from = bound(d, from)
	switch length := to.minus(from); {
	case length.atLeast(0):
		return length, nil
	case from.minus(to).atLeast(0):
		return constant(0), nil
	}
	return expr{}, nil
}

// bound is the place that a start or an end means on an axis of size d, as far
// as that can be said for all values of the symbols.
func bound(d, x expr) expr {
	n, fixed := x.value()
	switch {
	case fixed && n >= math.MaxInt32 || x.minus(d).atLeast(0) && x.atLeast(0):
		return d
	case fixed && n >= 0:
		return d.least(n)
	case fixed && n <= -math.MaxInt32:
		return constant(0)
	case fixed:
		return d.plus(x).orZero()
	case x.atLeast(0) && d.minus(x).atLeast(0):
		return x
	}
	return expr{}
}

// strided is the length with another step, of constants only.
func strided(d, start, end expr, by int64) expr {
	size, ok := d.value()
	from, hasFrom := start.value()
	to, hasTo := end.value()
	if !ok || !hasFrom || !hasTo {
		return expr{}
	}
	from, to = fromFront(from, size), fromFront(to, size)
	if by > 0 {
		from, to = min(max(from, 0), size), min(max(to, 0), size)
		return constant(ceilDivide(to-from, by))
	}
	from, to = min(max(from, 0), size-1), min(max(to, -1), size-1)
	if by == math.MinInt64 {
		by++
	}
	return constant(ceilDivide(from-to, -by))
}

// fromFront is a place that may be counted from the end.
func fromFront(i, size int64) int64 {
	if i < 0 {
		return i + size
	}
	return i
}

func ceilDivide(n, by int64) int64 {
	if n <= 0 {
		return 0
	}
	return (n-1)/by + 1
}

// cut are the elements of a list between constant bounds; nil where they are
// not known.
func cut(ints, starts, ends, steps []expr, stepped bool) []expr {
	from, ok := at(starts, 0).value()
	to, hasTo := at(ends, 0).value()
	by := int64(1)
	if stepped {
		var hasStep bool
		by, hasStep = at(steps, 0).value()
		ok = ok && hasStep
	}
	if ints == nil || !ok || !hasTo || by == 0 || by == math.MinInt64 {
		return nil
	}
	n := int64(len(ints))
	count, ok := strided(constant(n), constant(from), constant(to), by).value()
	if !ok {
		return nil
	}
	first := min(max(fromFront(from, n), 0), n)
	if by < 0 {
		first = min(first, n-1)
	}
	out := []expr{}
	for k := range count {
		out = append(out, ints[first+k*by])
	}
	return out
}
