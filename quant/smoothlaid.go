package quant

import (
	"slices"

	"github.com/trtforge/trtforge/onnx"
)

// laid is a value whose elements are columns of a projection.
type laid struct {
	dims []int64
	at   []int // column of each element
	from int   // the projection, an index of linears
}

// whole is l where its labels fill its shape.
func (l *laid) whole() *laid {
	n, err := onnx.Elements(l.dims)
	if err != nil || l.dims == nil || n != int64(len(l.at)) {
		return nil
	}
	return l
}

func (l *laid) touches(mine map[int]bool) bool {
	return slices.ContainsFunc(l.at, func(column int) bool { return mine[column] })
}

// cut is size indices of an axis from start.
func (l *laid) cut(axis, start, size int64) *laid {
	if start < 0 || size < 0 || start+size > l.dims[axis] {
		return nil
	}
	dims := slices.Clone(l.dims)
	dims[axis] = size
	return l.gather(dims, func(index []int64) { index[axis] += start })
}

// transposed is l with its axes in another order.
func (l *laid) transposed(perm []int64) *laid {
	if l == nil || len(perm) != len(l.dims) {
		return nil
	}
	dims := make([]int64, len(perm))
	for i, p := range perm {
		if p < 0 || p >= int64(len(perm)) {
			return nil
		}
		dims[i] = l.dims[p]
	}
	from := make([]int64, len(perm))
	return l.gather(dims, func(index []int64) {
		for i, p := range perm {
			from[p] = index[i]
		}
		copy(index, from)
	})
}

// expanded is l repeated along axes of size 1.
func (l *laid) expanded(dims []int64) *laid {
	if l == nil || len(dims) != len(l.dims) {
		return nil
	}
	for i, d := range dims {
		if l.dims[i] != d && l.dims[i] != 1 {
			return nil
		}
	}
	return l.gather(slices.Clone(dims), func(index []int64) {
		for i := range index {
			if l.dims[i] == 1 {
				index[i] = 0
			}
		}
	})
}

// gather is a value of the given shape whose elements l has where move says.
func (l *laid) gather(dims []int64, move func(index []int64)) *laid {
	n, err := onnx.Elements(dims)
	if err != nil || n > maxLabels {
		return nil
	}
	out := &laid{dims: dims, from: l.from, at: make([]int, n)}
	index := make([]int64, len(dims))
	for i := range out.at {
		rest := int64(i)
		for a := len(dims) - 1; a >= 0; a-- {
			index[a], rest = rest%dims[a], rest/dims[a]
		}
		move(index)
		at := int64(0)
		for a, d := range l.dims {
			at = at*d + index[a]
		}
		out.at[i] = l.at[at]
	}
	return out
}
