package shape

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// making operators make tensors from attributes, shapes and bounds, or choose
// between graphs.
func making(op string) rule {
	switch op {
	case "Constant":
		return makeConstant
	case "ConstantOfShape":
		return constantOfShape
	case "Shape":
		return shapeOf
	case "Size":
		return size
	case "Range":
		return rangeOf
	case "NonZero":
		return nonZero
	case "If":
		return choose
	}
	return nil
}

func makeConstant(s *site) error {
	for _, a := range s.GetAttribute() {
		v := &value{}
		var err error
		switch a.GetName() {
		case "value":
			v, err = fromTensor(a.GetT())
		case "value_int":
			v = &value{t: onnx.Int64, dims: []expr{}, ints: []expr{constant(a.GetI())}}
		case "value_ints":
			v = &value{t: onnx.Int64, dims: []expr{constant(int64(len(a.GetInts())))}, ints: constants(a.GetInts())}
		case "value_float":
			v = &value{t: onnx.Float32, dims: []expr{}}
		case "value_floats":
			v = &value{t: onnx.Float32, dims: []expr{constant(int64(len(a.GetFloats())))}}
		case "value_string":
			v = &value{t: onnx.String, dims: []expr{}}
		case "value_strings":
			v = &value{t: onnx.String, dims: []expr{constant(int64(len(a.GetStrings())))}}
		}
		if err != nil {
			return err
		}
		if v.t != 0 {
			s.give(0, v.t, v.dims)
			s.follow(v.ints)
			return nil
		}
	}
	return nil
}

// constantOfShape is of float zeros unless value says otherwise.
func constantOfShape(s *site) error {
	shape := s.take(0)
	fill := &value{t: onnx.Float32}
	if a := onnx.Attr(s.NodeProto, "value"); a != nil {
		var err error
		if fill, err = fromTensor(a.GetT()); err != nil {
			return err
		}
	}
	dims := shape.ints
	if n := shape.length(); dims == nil && n >= 0 {
		dims = open(n)
	}
	for _, d := range dims {
		if d.known && constant(-1).minus(d).atLeast(0) {
			return fmt.Errorf("shape %v", dims)
		}
	}
	s.give(0, fill.t, dims)
	if len(dims) == 1 && len(fill.ints) == 1 {
		if n, ok := dims[0].value(); ok && n <= maxInts {
			s.follow(slices.Repeat(fill.ints, int(n)))
		}
	}
	if dims != nil && len(dims) == 0 {
		s.follow(fill.ints)
	}
	return nil
}

// shapeOf may cut the shape, from opset 15 on.
func shapeOf(s *site) error {
	x := s.take(0)
	s.give(0, onnx.Int64, open(1))
	if x.dims == nil {
		return nil
	}
	n := int64(len(x.dims))
	clamp := func(i int64) int64 {
		if i < 0 {
			i += n
		}
		return min(max(i, 0), n)
	}
	from, to := clamp(onnx.AttrInt(s.NodeProto, "start", 0)), clamp(onnx.AttrInt(s.NodeProto, "end", n))
	part := x.dims[from:max(from, to)]
	s.give(0, onnx.Int64, []expr{constant(int64(len(part)))})
	s.follow(part)
	return nil
}

func size(s *site) error {
	s.give(0, onnx.Int64, []expr{})
	if d := s.take(0).dims; d != nil {
		s.follow([]expr{product(d)})
	}
	return nil
}

// rangeOf is followed for integers.
func rangeOf(s *site) error {
	t, err := s.common(0, 1, 2)
	if err != nil {
		return err
	}
	s.give(0, t, open(1))
	start, limit, delta := s.take(0).scalar(), s.take(1).scalar(), s.take(2).scalar()
	span := limit.minus(start)
	step, ok := delta.value()
	if ok && step == 0 {
		return fmt.Errorf("delta 0")
	}
	n, fixed := span.value()
	switch {
	case !ok:
		return nil
	case step == 1:
		s.give(0, t, []expr{span.orZero()})
	case step == -1:
		s.give(0, t, []expr{span.times(constant(-1)).orZero()})
	case fixed && step > 0:
		s.give(0, t, []expr{constant(ceilDivide(n, step))})
	case fixed && n > -maxInts && step > -maxInts:
		s.give(0, t, []expr{constant(ceilDivide(-n, -step))})
	}
	if length, ok := s.out0(); ok && length <= maxInts {
		ints := []expr{}
		for i := range length {
			ints = append(ints, start.plus(delta.times(constant(i))))
		}
		s.follow(ints)
	}
	return nil
}

// out0 is the size of the first output, a list.
func (s *site) out0() (int64, bool) {
	if len(s.out) == 0 || len(s.out[0].dims) != 1 {
		return 0, false
	}
	return s.out[0].dims[0].value()
}

func nonZero(s *site) error {
	dims := open(2)
	if d := s.take(0).dims; d != nil {
		dims[0] = constant(int64(len(d)))
	}
	s.give(0, onnx.Int64, dims)
	return nil
}

// choose is If: what both branches agree on.
func choose(s *site) error {
	var all []*value
	for _, name := range []string{"then_branch", "else_branch"} {
		g := onnx.Attr(s.NodeProto, name).GetG()
		if g == nil {
			return fmt.Errorf("no %s", name)
		}
		if len(g.GetOutput()) != len(s.out) {
			return fmt.Errorf("%s has %d outputs of %d", name, len(g.GetOutput()), len(s.out))
		}
		inner, err := s.branch(g)
		if err != nil {
			return err
		}
		for _, out := range g.GetOutput() {
			all = append(all, inner.find(out.GetName()))
		}
	}
	for i, v := range s.out {
		a, b := all[i], all[i+len(s.out)]
		if a.t != 0 && b.t != 0 && a.t != b.t {
			return fmt.Errorf("output %d is %s in one branch and %s in the other", i, a.t, b.t)
		}
		if v.t = max(a.t, b.t); len(a.dims) == len(b.dims) && a.dims != nil && b.dims != nil {
			s.give(i, v.t, agreed(a.dims, b.dims))
		}
	}
	return nil
}

// branch infers a graph inside this one, which sees the values around it.
func (s *site) branch(g *onnxpb.GraphProto) (*scope, error) {
	inner := newScope(s.scope)
	for _, t := range g.GetInitializer() {
		v, err := fromTensor(t)
		if err != nil {
			return nil, err
		}
		inner.values[t.GetName()] = v
	}
	s.infer.graph(g, inner)
	return inner, nil
}

func agreed(a, b []expr) []expr {
	out := open(len(a))
	for i := range a {
		if a[i].equal(b[i]) {
			out[i] = a[i]
		}
	}
	return out
}
