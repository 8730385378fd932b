package onnx

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

func shapeOf(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	clamp := func(i int64) int64 {
		if i < 0 {
			i += int64(x.rank())
		}
		return min(max(i, 0), int64(x.rank()))
	}
	from, to := clamp(AttrInt(o.NodeProto, "start", 0)), clamp(AttrInt(o.NodeProto, "end", math.MaxInt64))
	value := append([]sum{}, x.dims[from:max(from, to)]...)
	o.make(Int64, []sum{constant(int64(len(value)))}).value = value
	return nil
}

// rangeOf counts from start to limit, which is not before it.
func rangeOf(o *op) error {
	start, err := o.need(0)
	if err != nil {
		return err
	}
	limit, err := o.need(1)
	if err != nil {
		return err
	}
	step, err := o.need(2)
	if err != nil {
		return err
	}
	n := sum{unknown: true}
	if len(start.value) == 1 && len(limit.value) == 1 && len(step.value) == 1 && step.value[0].is(1) {
		n = limit.value[0].plus(start.value[0], -1)
	}
	if c, ok := n.fixed(); ok && c < 0 {
		n = constant(0)
	}
	o.make(start.t, []sum{n})
	return nil
}

func concat(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	axis, err := x.axis(AttrInt(o.NodeProto, "axis", 0))
	if err != nil {
		return err
	}
	dims := slices.Clone(x.dims)
	value := slices.Clone(x.value)
	for i := range o.in[1:] {
		y, err := o.need(i + 1)
		if err != nil {
			return err
		}
		if y.rank() != x.rank() || y.t != x.t {
			return fmt.Errorf("input %d is %s of rank %d, the first %s of rank %d", i+1, y.t, y.rank(), x.t, x.rank())
		}
		dims[axis] = dims[axis].plus(y.dims[axis], 1)
		if value = append(value, y.value...); y.value == nil {
			value = nil
		}
	}
	if n, ok := dims[axis].fixed(); !ok || x.rank() != 1 || n != int64(len(value)) {
		value = nil
	}
	o.make(x.t, dims).value = value
	return nil
}

func split(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	axis, err := x.axis(AttrInt(o.NodeProto, "axis", 0))
	if err != nil {
		return err
	}
	n := int64(len(o.GetOutput()))
	var sizes []int64
	if o.has(1) || Attr(o.NodeProto, "split") != nil {
		if sizes, err = o.constants(1, "split"); err != nil {
			return err
		}
	} else {
		all, ok := x.dims[axis].fixed()
		if !ok || n == 0 {
			return errors.New("the size that is split is not constant")
		}
		for each := (all + n - 1) / n; int64(len(sizes)) < n; all -= each {
			sizes = append(sizes, min(each, max(all, 0)))
		}
	}
	for _, size := range sizes {
		dims := slices.Clone(x.dims)
		dims[axis] = constant(size)
		o.make(x.t, dims)
	}
	return nil
}

// slice knows slices of constant sizes, and of symbolic ones those up to the end.
func slice(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	starts, err := o.need(1)
	if err != nil {
		return err
	}
	ends, err := o.need(2)
	if err != nil {
		return err
	}
	if starts.value == nil || len(starts.value) != len(ends.value) {
		return errors.New("its bounds are not known")
	}
	axes, steps := make([]int64, len(starts.value)), make([]int64, len(starts.value))
	for i := range axes {
		axes[i], steps[i] = int64(i), 1
	}
	if o.has(3) {
		if axes, err = o.constants(3, ""); err != nil {
			return err
		}
	}
	if o.has(4) {
		if steps, err = o.constants(4, ""); err != nil {
			return err
		}
	}
	if len(axes) != len(starts.value) || len(steps) != len(axes) {
		return errors.New("its bounds, axes and steps differ in number")
	}
	out := o.make(x.t, slices.Clone(x.dims))
	for i, a := range axes {
		axis, err := x.axis(a)
		if err != nil {
			return err
		}
		from, size := cut(x.dims[axis], starts.value[i], ends.value[i])
		if steps[i] != 1 {
			size = sum{unknown: true}
		}
		out.dims[axis] = size
		n, ok := size.fixed()
		if f, ok2 := from.fixed(); ok && ok2 && x.rank() == 1 && x.value != nil && f+n <= int64(len(x.value)) {
			out.value = x.value[f : f+n]
		}
	}
	return nil
}

// cut is where a slice of step 1 begins and its size. A symbol may be 0, so
// [-1:] of one has 0 or 1 elements: not known.
func cut(dim, start, end sum) (from, size sum) {
	all, isFixed := dim.fixed()
	bound := func(s sum) sum {
		n, ok := s.fixed()
		switch {
		case ok && n >= math.MaxInt32:
			return dim
		case ok && isFixed && n < 0:
			return constant(max(n+all, 0))
		case ok && isFixed:
			return constant(min(n, all))
		}
		return s
	}
	start, end = bound(start), bound(end)
	a, ok := start.fixed()
	b, ok2 := end.fixed()
	switch {
	case isFixed && ok && ok2:
		return start, constant(max(b-a, 0))
	case end.equal(dim) && (start.is(0) || !ok):
		return start, end.plus(start, -1)
	}
	return start, sum{unknown: true}
}

func transpose(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	perm := Attr(o.NodeProto, "perm").GetInts()
	if perm == nil {
		for i := range x.dims {
			perm = append(perm, int64(x.rank()-1-i))
		}
	}
	if len(perm) != x.rank() {
		return fmt.Errorf("permutation %v of rank %d", perm, x.rank())
	}
	dims := make([]sum, len(perm))
	for i, p := range perm {
		axis, err := x.axis(p)
		if err != nil {
			return err
		}
		dims[i] = x.dims[axis]
	}
	o.make(x.t, dims)
	return nil
}

func reshape(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	shape, err := o.need(1)
	if err != nil {
		return err
	}
	if shape.value == nil {
		return errors.New("its shape is not known")
	}
	dims := slices.Clone(shape.value)
	rest := -1
	for i, d := range dims {
		switch {
		case d.is(0) && AttrInt(o.NodeProto, "allowzero", 0) == 0:
			if i >= x.rank() {
				return fmt.Errorf("it copies dimension %d of rank %d", i, x.rank())
			}
			dims[i] = x.dims[i]
		case d.is(-1) && rest >= 0:
			return errors.New("two sizes are left open")
		case d.is(-1):
			rest = i
		}
	}
	if rest >= 0 {
		dims[rest] = quotient(x.dims, slices.Delete(slices.Clone(dims), rest, rest+1))
	}
	o.make(x.t, dims).value = x.value
	return nil
}

func unsqueeze(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	axes, err := o.constants(1, "axes")
	if err != nil {
		return err
	}
	dims := make([]sum, x.rank()+len(axes))
	isNew := make([]bool, len(dims))
	for _, a := range axes {
		i, err := (&fact{dims: dims}).axis(a)
		if err != nil {
			return err
		}
		isNew[i] = true
	}
	old := x.dims
	for i := range dims {
		switch {
		case isNew[i]:
			dims[i] = constant(1)
		case len(old) == 0:
			return fmt.Errorf("axes %v repeat", axes)
		default:
			dims[i], old = old[0], old[1:]
		}
	}
	o.make(x.t, dims).value = x.value
	return nil
}

func squeeze(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	axes, err := o.constants(1, "axes")
	if err != nil {
		return err
	}
	gone := make([]bool, x.rank())
	for _, a := range axes {
		i, err := x.axis(a)
		if err != nil {
			return err
		}
		gone[i] = true
	}
	dims := []sum{}
	for i, d := range x.dims {
		if !gone[i] {
			dims = append(dims, d)
		}
	}
	o.make(x.t, dims).value = x.value
	return nil
}

func expand(o *op) error {
	x, err := o.need(0)
	if err != nil {
		return err
	}
	shape, err := o.need(1)
	if err != nil {
		return err
	}
	if shape.value == nil {
		return errors.New("its shape is not known")
	}
	dims, err := broadcast(x.dims, shape.value)
	o.make(x.t, dims)
	return err
}

func constantOfShape(o *op) error {
	shape, err := o.need(0)
	if err != nil {
		return err
	}
	if shape.value == nil {
		return errors.New("its shape is not known")
	}
	t := Float32
	if a := Attr(o.NodeProto, "value"); a != nil {
		t = DType(a.GetT().GetDataType())
	}
	o.make(t, slices.Clone(shape.value))
	return nil
}
