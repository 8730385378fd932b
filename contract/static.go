package contract

import "strconv"

// KindCachePosition is the columns that new keys and values are written to,
// [seq], the same for all rows: the input that makes a cache static. Past,
// present and mask then have the length of the buffer, and a column is open to a
// new position where the mask says so and it is not behind the column of that
// position.
const KindCachePosition Kind = "cache_position"

// metaCapacity is the key of metadata_props that confirms the buffer's length.
const metaCapacity = "trtforge.capacity"

// Capacity is the length of the buffer that past and present share; 0 where the
// cache grows or there is none. It bounds padding, prompt and everything
// decoded together (MaxPositions says so too), and attention looks at all of it in
// each step.
func (c *Contract) Capacity() int64 {
	for _, t := range c.Inputs {
		if t.Kind != KindPastKey {
			continue
		}
		for _, d := range t.Dims {
			if d.Role == Buffer {
				return d.Size
			}
		}
	}
	return 0
}

// BufferBytes is what one set of a static cache's keys and values takes at that
// batch, however few of its columns are written: 2 x layers x batch x heads x
// capacity x head size x bytes of a number. 0 where the cache grows.
func (c *Contract) BufferBytes(batch int64) int64 {
	width := map[string]int64{"float": 4, "float16": 2, "bfloat16": 2}
	for _, t := range c.Inputs {
		if t.Kind == KindPastKey {
			return 2 * int64(c.Layers) * batch * int64(c.Heads) * c.Capacity() * int64(c.HeadDim) * width[t.Type]
		}
	}
	return 0
}

// buffer sees that the buffer has one fixed length everywhere: what varies could
// not be written into.
func (r *reader) buffer() {
	if !r.static {
		return
	}
	if !r.cached {
		r.bad("cache_position says where to write, but no input is a past key or value")
		return
	}
	size, first := int64(0), ""
	r.all(func(t *Tensor, _ bool) {
		for i, d := range t.Dims {
			switch {
			case d.Role != Buffer:
			case d.Size == 0:
				r.bad("%s: dimension %d varies, but the graph takes cache_position: a buffer that is written into has a fixed length", t.Name, i)
			case size == 0:
				size, first = d.Size, t.Name
			case d.Size != size:
				r.bad("%s: dimension %d is %d, the buffer of %s is %d", t.Name, i, d.Size, first, size)
			}
		}
	})
	if said, ok := r.meta(metaCapacity); ok && size > 0 && said != strconv.FormatInt(size, 10) {
		r.bad("metadata %s is %q, the buffer is %d", metaCapacity, said, size)
	}
}
