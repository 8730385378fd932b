package contract

import (
	"github.com/trtforge/trtforge/onnx"
)

// forth says of a node's outputs what its inputs make of them.
func (f *flow) forth(s *step) {
	out := fact{}
	if !shaped[s.op] {
		out.varies, out.origin, out.offset, out.shifted = f.mixed(s)
	}
	first := f.of(s, 0)
	switch {
	case s.op == "Gather" || s.op == "GatherND" || s.op == "GatherElements":
		f.selects(s, &out)
	case s.op == "Cos" || s.op == "Sin":
		f.mark(f.angle, first.origin)
		out.origin = -1
	case s.op == "CumSum":
		out.origin, out.count, out.offset = -1, true, 1
	case s.op == "Softmax":
		out.probs, out.origin = true, -1
	case s.op == "Conv" && first.origin > 0 && !first.shifted:
		f.images[first.origin-1] = true
	}
	f.counted(s, &out)
	f.cached(s, &out)
	switch {
	case products[s.op]:
		out.head = f.of(s, 0).varies != f.of(s, 1).varies
	case ahead[s.op]:
		out.head = first.head || f.of(s, 1).head
	}
	if weighed[s.op] {
		out.probs = first.probs || s.op != "Concat" && (f.of(s, 1).probs || f.of(s, 2).probs)
	}
	for i, v := range s.out {
		if v == 0 {
			continue
		}
		o := out
		o.same = v
		if i == 0 && (s.op == "Identity" || s.op == "Cast") {
			o.same = s.input(0)
		}
		f.facts[v] = o
	}
	f.attention(s)
}

// mixed is what a node's data come from: one input alone, if the node is one that
// an index goes through, and how far it is moved.
func (f *flow) mixed(s *step) (varies bool, origin int, offset int64, shifted bool) {
	for i := range s.in {
		x := f.of(s, i)
		if !x.varies || i > 0 && moved[s.op] {
			continue
		}
		switch {
		case !varies:
			origin, offset, shifted = x.origin, x.offset, x.shifted
		case origin != x.origin:
			origin = -1
		default:
			shifted = shifted || x.offset != offset || x.shifted
		}
		varies = true
	}
	if varies && !moved[s.op] && !bare[s.op] {
		origin = -1
	}
	switch {
	case !varies || moved[s.op] || s.op == "Where" || s.op == "Concat":
	case s.op == "Add" || s.op == "Sub":
		n, ok := f.scalar(s, 1)
		if !ok && s.op == "Add" {
			n, ok = f.scalar(s, 0)
		}
		if s.op == "Sub" {
			n = -n
		}
		offset, shifted = offset+n, shifted || !ok
	default:
		shifted = true
	}
	return varies, origin, offset, shifted
}

// scalar is an integer that a node adds.
func (f *flow) scalar(s *step, i int) (int64, bool) {
	if i >= len(s.in) || f.of(s, i).varies {
		return 0, false
	}
	ints := f.trace.Ints(s.node.GetInput()[i])
	if len(ints) != 1 {
		return 0, false
	}
	return ints[0].Value()
}

// counted follows a running count: 1, 2, ... for the ones of a mask.
func (f *flow) counted(s *step, out *fact) {
	if s.op == "CumSum" {
		return
	}
	for i := range s.in {
		x := f.of(s, i)
		if !x.count || !(moved[s.op] && i == 0 || s.op == "Mul" || s.op == "Add" || s.op == "Sub" && i == 0) {
			continue
		}
		out.count, out.offset = true, x.offset
		if n, ok := f.scalar(s, 1-min(i, 1)); ok && s.op == "Add" {
			out.offset += n
		} else if ok && s.op == "Sub" {
			out.offset -= n
		}
	}
}

// selects notes an index into a table.
func (f *flow) selects(s *step, out *fact) {
	if len(s.in) < 2 {
		return
	}
	index, data := f.of(s, 1), f.of(s, 0)
	if s.op != "Gather" || data.varies {
		out.origin = data.origin
		if f.of(s, 1).varies && f.of(s, 1).origin != data.origin {
			out.origin = -1
		}
		return
	}
	out.origin = -1
	rows, ok := f.rows(s)
	if !ok {
		return
	}
	switch {
	case index.count:
		f.counts = append(f.counts, table{rows, index.offset})
	case index.origin > 0:
		f.tables[index.origin-1] = append(f.tables[index.origin-1], tableOf(rows, index))
	}
}

// tableOf is a table that an index selects rows of.
func tableOf(rows int64, index fact) table {
	if index.shifted {
		return table{rows, 0}
	}
	return table{rows, index.offset}
}

// rows is the size of the axis that a Gather of a weight selects from.
func (f *flow) rows(s *step) (int64, bool) {
	dims := f.trace.Dims(s.node.GetInput()[0])
	axis := onnx.AttrInt(s.node, "axis", 0)
	if axis < 0 {
		axis += int64(len(dims))
	}
	if len(dims) < 2 || axis < 0 || axis >= int64(len(dims)) {
		return 0, false
	}
	return dims[axis].Value()
}

func (f *flow) mark(list []bool, origin int) {
	if origin > 0 {
		list[origin-1] = true
	}
}

// cached follows what a cache input holds: new content behind it, or in its place.
func (f *flow) cached(s *step, out *fact) {
	first := f.of(s, 0)
	switch s.op {
	case "Identity", "Cast", "CastLike", "DequantizeLinear", "QuantizeLinear":
		out.holds, out.grown, out.axis, out.written = first.holds, first.grown, first.axis, first.written
	case "Transpose", "Reshape", "Unsqueeze", "Squeeze":
		out.written = first.written
		if first.holds > 0 {
			out.written = -first.holds // not yet written: what comes next may be
		}
		if first.written < 0 {
			out.written = first.written
		}
	case "Concat":
		if len(s.in) == 1 { // TorchScript does that
			out.holds, out.grown, out.axis, out.written = first.holds, first.grown, first.axis, first.written
			return
		}
		for i := range s.in {
			if h := f.of(s, i).holds; h > 0 {
				out.grown, out.axis = h, f.axis(s)
			}
		}
	case "ScatterND", "ScatterElements", "TensorScatter":
		if out.written = owner(first); out.written > 0 {
			f.mark(f.column, f.of(s, 1).origin)
			if s.op == "TensorScatter" {
				f.mark(f.column, f.of(s, 2).origin)
			}
		}
	case "Where":
		for i := 1; i < 3; i++ {
			if h := owner(f.of(s, i)); h > 0 {
				out.written = h
			}
		}
	case "Mul":
		for i := range s.in {
			if h := owner(f.of(s, i)); h > 0 {
				out.written = -h
			}
		}
	case "Add":
		for i := range s.in {
			if x := f.of(s, i); x.written != 0 {
				out.written = owner(x)
			}
		}
	}
}

// owner is the cache input that a value is the content of, written or not, plus 1.
func owner(x fact) int {
	if x.written < 0 {
		return -x.written
	}
	return max(x.written, x.holds)
}

// axis is a Concat's axis from the front, of tensors of rank 4.
func (f *flow) axis(s *step) int {
	axis := onnx.AttrInt(s.node, "axis", 0)
	if axis < 0 {
		axis += 4
	}
	return int(axis)
}
