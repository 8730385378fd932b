package shape

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// A rule fills in a node's outputs from its inputs, as far as these are known;
// its error says how they contradict each other. Rules follow the operators'
// specifications (onnx/docs/Operators.md, up to opset 23).
type rule func(s *site) error

// ruleOf is the rule of an operator of the default domain; nil where it is not
// known.
func ruleOf(op string) rule {
	for _, group := range []func(string) rule{elementwise, linear, shaping, indexing, reducing, making, vision} {
		if r := group(op); r != nil {
			return r
		}
	}
	return nil
}

// site is a node among values.
type site struct {
	*onnxpb.NodeProto
	in, out []*value // in: nil where an optional input is left out
	opset   int64
	infer   *inferrer
	scope   *scope
	lacking int // inputs that the rule wanted and that are left out, the last one + 1
}

// take is an input that must be there; else the node is reported.
func (s *site) take(i int) *value {
	if s.has(i) {
		return s.in[i]
	}
	s.lacking = i + 1
	return &value{}
}

// has tells whether an optional input is given.
func (s *site) has(i int) bool { return i < len(s.in) && s.in[i] != nil }

// give sets an output that somebody takes.
func (s *site) give(i int, t onnx.DType, dims []expr) *value {
	if i >= len(s.out) {
		return &value{}
	}
	if len(dims) > maxRank {
		dims = nil
	}
	v := s.out[i]
	v.t, v.dims = t, dims
	return v
}

// apply fills in the outputs; a contradiction makes what is there worthless.
func (s *site) apply(r rule) error {
	err := r(s)
	if s.lacking > 0 {
		err = fmt.Errorf("input %d is missing", s.lacking-1)
	}
	for i := range s.out {
		if err != nil {
			s.out[i] = &value{}
		}
	}
	return err
}

// follow sets the elements of output 0, if they are few integers.
func (s *site) follow(ints []expr) {
	if len(s.out) > 0 && len(ints) <= maxInts && len(s.out[0].dims) <= 1 && s.out[0].dims != nil {
		s.out[0].ints = ints
	}
}

// common is the type that those of the inputs that are given must share.
func (s *site) common(inputs ...int) (onnx.DType, error) {
	var t onnx.DType
	for _, i := range inputs {
		if !s.has(i) {
			continue
		}
		v := s.in[i]
		if v.t != 0 && t != 0 && v.t != t {
			return 0, fmt.Errorf("inputs are %s and %s", t, v.t)
		}
		if t == 0 {
			t = v.t
		}
	}
	return t, nil
}

// axis is the attribute axis, from the end where it is negative.
func (s *site) axis(fallback int64, rank int) (int, error) {
	return within(onnx.AttrInt(s.NodeProto, "axis", fallback), rank)
}

func within(a int64, rank int) (int, error) {
	n := int64(rank)
	if a < -n || a >= n {
		return 0, fmt.Errorf("axis %d of a tensor of rank %d", a, rank)
	}
	return int((a + n) % n), nil
}

// axes are those of an input, or in older opsets of the attribute; given is
// false where there is neither, and nil means that they depend on the data.
func (s *site) axes(input, rank int) (axes []int, given bool, err error) {
	var raw []int64
	switch a := onnx.Attr(s.NodeProto, "axes"); {
	case s.has(input):
		var ok bool
		if raw, ok = s.in[input].fixed(); !ok {
			return nil, true, nil
		}
	case a != nil:
		raw = a.GetInts()
	default:
		return nil, false, nil
	}
	axes = []int{}
	for _, r := range raw {
		a, err := within(r, rank)
		if err != nil {
			return nil, true, err
		}
		if slices.Contains(axes, a) {
			return nil, true, fmt.Errorf("axis %d twice", r)
		}
		axes = append(axes, a)
	}
	return axes, true, nil
}

// open is a shape of which nothing but the rank is known.
func open(rank int) []expr { return make([]expr, rank) }

// length is the number of elements of a list of integers, say of a shape; -1
// where it is not known.
func (v *value) length() int {
	if v.ints != nil {
		return len(v.ints)
	}
	if len(v.dims) == 1 {
		if n, ok := v.dims[0].value(); ok && n >= 0 && n <= maxRank {
			return int(n)
		}
	}
	return -1
}
