package shape

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

// reducing operators fold axes.
func reducing(op string) rule {
	switch op {
	case "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2",
		"ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare":
		return reduce
	case "ArgMax", "ArgMin":
		return argMax
	case "TopK":
		return topK
	}
	return nil
}

func reduce(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if x.dims == nil {
		return nil
	}
	axes, given, err := s.axes(1, len(x.dims))
	keep := onnx.AttrInt(s.NodeProto, "keepdims", 1) != 0
	switch {
	case err != nil:
		return err
	case given && axes == nil && keep:
		s.give(0, x.t, open(len(x.dims)))
		return nil
	case given && axes == nil:
		return nil
	case len(axes) == 0 && onnx.AttrInt(s.NodeProto, "noop_with_empty_axes", 0) != 0:
	case len(axes) == 0:
		axes = seq(len(x.dims))
	}
	s.give(0, x.t, folded(x.dims, axes, keep))
	if n := len(x.ints); n > 0 && len(axes) > 0 {
		s.follow(total(s.GetOpType(), x.ints))
	}
	return nil
}

func folded(dims []expr, axes []int, keep bool) []expr {
	out := []expr{}
	for i, d := range dims {
		switch {
		case !slices.Contains(axes, i):
			out = append(out, d)
		case keep:
			out = append(out, constant(1))
		}
	}
	return out
}

// total is what ReduceProd and its kin make of a list.
func total(op string, ints []expr) []expr {
	f := map[string]func(a, b expr) expr{
		"ReduceSum": expr.plus, "ReduceProd": expr.times, "ReduceMin": arithmetic("Min"), "ReduceMax": arithmetic("Max"),
	}[op]
	if f == nil {
		return nil
	}
	all := ints[0]
	for _, e := range ints[1:] {
		all = f(all, e)
	}
	return []expr{all}
}

func argMax(s *site) error {
	x := s.take(0)
	s.give(0, onnx.Int64, nil)
	if x.dims == nil {
		return nil
	}
	axis, err := s.axis(0, len(x.dims))
	if err != nil {
		return err
	}
	s.give(0, onnx.Int64, folded(x.dims, []int{axis}, onnx.AttrInt(s.NodeProto, "keepdims", 1) != 0))
	return nil
}

func topK(s *site) error {
	x := s.take(0)
	dims := slices.Clone(x.dims)
	if dims != nil {
		axis, err := s.axis(-1, len(dims))
		if err != nil {
			return err
		}
		k := s.take(1).scalar()
		if k.minus(dims[axis]).atLeast(1) {
			return fmt.Errorf("the largest %s of %s", k, dims[axis])
		}
		dims[axis] = k
	}
	s.give(0, x.t, dims)
	s.give(1, onnx.Int64, dims)
	return nil
}
