package shape

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

func concat(s *site) error {
	t, err := s.common(seq(len(s.in))...)
	if err != nil {
		return err
	}
	s.give(0, t, nil)
	var dims, ints []expr
	for i := range s.in {
		x := s.take(i)
		if x.dims == nil {
			return nil
		}
		if i == 0 {
			dims, ints = slices.Clone(x.dims), slices.Clone(x.ints)
			continue
		}
		if dims, err = s.join(dims, x.dims); err != nil {
			return err
		}
		if ints == nil || x.ints == nil || len(ints) > maxInts {
			ints = nil
			continue
		}
		ints = append(ints, x.ints...)
	}
	s.give(0, t, dims)
	s.follow(ints)
	return nil
}

// join is the shape of two tensors along the node's axis.
func (s *site) join(a, b []expr) ([]expr, error) {
	if len(a) != len(b) {
		return nil, fmt.Errorf("inputs of rank %d and %d", len(a), len(b))
	}
	axis, err := s.axis(0, len(a))
	if err != nil {
		return nil, err
	}
	for i := range a {
		if i == axis {
			a[i] = a[i].plus(b[i])
		} else if a[i], err = s.unify(a[i], b[i]); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func split(s *site) error {
	x := s.take(0)
	for i := range s.out {
		s.give(i, x.t, nil)
	}
	if x.dims == nil {
		return nil
	}
	axis, err := s.axis(0, len(x.dims))
	if err != nil {
		return err
	}
	parts, err := s.parts(x.dims[axis])
	if err != nil {
		return err
	}
	from := int64(0)
	for i, p := range parts {
		dims := slices.Clone(x.dims)
		dims[axis] = p
		v := s.give(i, x.t, dims)
		n, ok := p.value()
		if from += n; ok && x.ints != nil && from <= int64(len(x.ints)) {
			v.ints = x.ints[from-n : from]
		} else {
			x = &value{t: x.t, dims: x.dims}
		}
	}
	return nil
}

// parts are the sizes along the split axis: of an input (before opset 13 an
// attribute), or equal but for the last.
func (s *site) parts(whole expr) ([]expr, error) {
	n := len(s.out)
	var sizes []expr
	if a := onnx.Attr(s.NodeProto, "split"); s.has(1) {
		if sizes = s.in[1].ints; sizes == nil {
			return open(n), nil
		}
	} else if a != nil {
		sizes = constants(a.GetInts())
	}
	if sizes == nil {
		if want := onnx.AttrInt(s.NodeProto, "num_outputs", int64(n)); want != int64(n) {
			return nil, fmt.Errorf("num_outputs %d with %d outputs", want, n)
		}
		return equalParts(whole, n), nil
	}
	all := constant(0)
	for _, p := range sizes {
		if p.known && !p.atLeast(0) && differ(p, p.orZero()) {
			return nil, fmt.Errorf("a part of size %s", p)
		}
		all = all.plus(p)
	}
	if len(sizes) != n || differ(all, whole) {
		return nil, fmt.Errorf("%d parts of %s together, for %d outputs of an axis of %s", len(sizes), all, n, whole)
	}
	return sizes, nil
}

func equalParts(whole expr, n int) []expr {
	parts := open(n)
	size, fixed := whole.value()
	each := (size + int64(n) - 1) / max(1, int64(n))
	for i := range parts {
		parts[i] = whole.over(constant(int64(n)))
		if fixed {
			parts[i] = constant(max(0, min(each, size-each*int64(i))))
		}
	}
	return parts
}
