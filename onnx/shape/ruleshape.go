package shape

import (
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

// shaping operators keep the elements and change the shape.
func shaping(op string) rule {
	switch op {
	case "Reshape":
		return reshape
	case "Transpose":
		return transpose
	case "Unsqueeze":
		return unsqueeze
	case "Squeeze":
		return squeeze
	case "Flatten":
		return flatten
	case "Expand":
		return expand
	case "Concat":
		return concat
	case "Split":
		return split
	case "Tile":
		return tile
	case "Pad":
		return pad
	}
	return nil
}

func reshape(s *site) error {
	x, shape := s.take(0), s.take(1)
	if shape.ints == nil {
		s.give(0, x.t, nil)
		if n := shape.length(); n >= 0 {
			s.give(0, x.t, open(n))
		}
		return nil
	}
	dims, err := s.reshaped(x.dims, shape.ints, onnx.AttrInt(s.NodeProto, "allowzero", 0) != 0)
	if err != nil {
		return err
	}
	s.give(0, x.t, dims)
	s.follow(x.ints)
	return nil
}

// reshaped is a shape with its 0 (as before) and -1 (what is left) resolved.
func (s *site) reshaped(from, to []expr, zeros bool) ([]expr, error) {
	dims, rest := slices.Clone(to), -1
	for i, d := range to {
		switch {
		case d.is(-1) && rest >= 0:
			return nil, fmt.Errorf("shape %v has more than one -1", to)
		case d.is(-1):
			dims[i], rest = constant(1), i
		case d.is(0) && !zeros && from != nil && i >= len(from):
			return nil, fmt.Errorf("shape %v keeps dimension %d of a tensor of rank %d", to, i, len(from))
		case d.is(0) && !zeros && from != nil:
			dims[i] = from[i]
		case d.is(0) && !zeros:
			dims[i] = expr{}
		}
	}
	if from == nil {
		if rest >= 0 {
			dims[rest] = expr{}
		}
		return dims, nil
	}
	have, want := cancel(from, dims)
	if rest < 0 {
		if n, m := product(have), product(want); differ(n, m) {
			return nil, fmt.Errorf("%v has %s elements, %v has %s", from, n, dims, m)
		} else if s.infer.trace != nil {
			s.infer.trace.equal(n, m)
		}
		return dims, nil
	}
	dims[rest] = product(have).over(product(want))
	if t := s.infer.trace; t != nil && !dims[rest].known && len(from) > 0 && rest > 0 {
		t.far = note(t.far, from[0], dims[0])
	}
	n, fixed := product(have).value()
	m, by := product(want).value()
	if fixed && by && (m == 0 || n%m != 0) {
		return nil, fmt.Errorf("%v does not divide into %v", from, to)
	}
	return dims, nil
}

// cancel removes the dimensions that both have, so that past + seq divides by
// past + seq.
func cancel(a, b []expr) (restA, restB []expr) {
	restA = slices.Clone(a)
	for _, d := range b {
		if i := slices.IndexFunc(restA, d.equal); i >= 0 && !d.is(0) {
			restA = slices.Delete(restA, i, i+1)
		} else {
			restB = append(restB, d)
		}
	}
	return restA, restB
}

func transpose(s *site) error {
	x := s.take(0)
	a := onnx.Attr(s.NodeProto, "perm")
	dims := slices.Clone(x.dims)
	if a == nil || x.dims == nil {
		slices.Reverse(dims)
		if a != nil {
			dims = open(len(a.GetInts()))
		}
		s.give(0, x.t, dims)
		return nil
	}
	perm := a.GetInts()
	used := slices.Sorted(slices.Values(perm))
	for i, p := range used {
		if len(used) != len(dims) || p != int64(i) {
			return fmt.Errorf("%v is no order of the axes of %v", perm, dims)
		}
	}
	if len(perm) != len(dims) {
		return fmt.Errorf("%v is no order of the axes of %v", perm, dims)
	}
	for i, p := range perm {
		dims[i] = x.dims[p]
	}
	s.give(0, x.t, dims)
	return nil
}

func unsqueeze(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if x.dims == nil {
		return nil
	}
	n := 0
	if a := onnx.Attr(s.NodeProto, "axes"); s.has(1) {
		if n = s.in[1].length(); n < 0 {
			return nil
		}
	} else {
		n = len(a.GetInts())
	}
	axes, _, err := s.axes(1, len(x.dims)+n)
	if err != nil {
		return err
	}
	dims := open(len(x.dims) + n)
	if axes != nil {
		old := x.dims
		for i := range dims {
			if slices.Contains(axes, i) {
				dims[i] = constant(1)
			} else {
				dims[i], old = old[0], old[1:]
			}
		}
	}
	s.give(0, x.t, dims)
	s.follow(x.ints)
	return nil
}

func squeeze(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if x.dims == nil {
		return nil
	}
	axes, given, err := s.axes(1, len(x.dims))
	if err != nil || given && axes == nil {
		return err
	}
	dims := []expr{}
	for i, d := range x.dims {
		n, fixed := d.value()
		switch {
		case given && !slices.Contains(axes, i):
			dims = append(dims, d)
		case given && fixed && n != 1:
			return fmt.Errorf("axis %d of %v is not 1", i, x.dims)
		case given:
		case !fixed:
			return nil // a dimension that may be 1
		case n != 1:
			dims = append(dims, d)
		}
	}
	s.give(0, x.t, dims)
	s.follow(x.ints)
	return nil
}

func flatten(s *site) error {
	x := s.take(0)
	s.give(0, x.t, open(2))
	if x.dims == nil {
		return nil
	}
	n := int64(len(x.dims))
	axis := onnx.AttrInt(s.NodeProto, "axis", 1)
	if axis < -n || axis > n {
		return fmt.Errorf("axis %d of a tensor of rank %d", axis, n)
	}
	if axis < 0 {
		axis += n
	}
	s.give(0, x.t, []expr{product(x.dims[:axis]), product(x.dims[axis:])})
	return nil
}

func expand(s *site) error {
	x, shape := s.take(0), s.take(1)
	to := shape.ints
	if to == nil {
		if n := shape.length(); n >= 0 {
			to = open(n)
		}
	}
	dims, err := s.broadcast(x.dims, to)
	if err != nil {
		return err
	}
	s.give(0, x.t, dims)
	if len(dims) == 1 && len(x.ints) == 1 {
		if n, ok := dims[0].value(); ok && n >= 0 && n <= maxInts {
			s.follow(slices.Repeat(x.ints, int(n)))
		}
	}
	return nil
}

func tile(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if x.dims == nil {
		return nil
	}
	times := s.take(1).ints
	if times == nil {
		times = open(len(x.dims))
	}
	if len(times) != len(x.dims) {
		return fmt.Errorf("%d repeats for a tensor of rank %d", len(times), len(x.dims))
	}
	dims := open(len(x.dims))
	for i, d := range x.dims {
		dims[i] = d.times(times[i])
	}
	s.give(0, x.t, dims)
	return nil
}

func pad(s *site) error {
	x := s.take(0)
	s.give(0, x.t, nil)
	if x.dims == nil {
		return nil
	}
	dims := open(len(x.dims))
	axes, given, err := s.axes(3, len(x.dims))
	if err != nil {
		return err
	}
	if !given {
		axes = seq(len(x.dims))
	}
	if pads := s.bounds("pads", 1); pads != nil && axes != nil {
		if len(pads) != 2*len(axes) {
			return fmt.Errorf("%d pads for %d axes", len(pads), len(axes))
		}
		copy(dims, x.dims)
		for i, a := range axes {
			dims[a] = dims[a].plus(pads[i]).plus(pads[i+len(axes)])
		}
	}
	s.give(0, x.t, dims)
	return nil
}
