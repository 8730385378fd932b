package profiles

import "github.com/trtforge/trtforge/contract"

// side is a range that a profile sets on one dimension of one or more inputs.
type side struct {
	inputs   []string
	values   bool // of a shape tensor's contents: dim is the element
	dim      int
	role     contract.Dim
	min, max int64
}

// box is the sides of a profile on a graph, each distinct one once: a shape is
// asked four questions or so, however many layers there are.
type box []side

func (p Profile) box(c *contract.Contract) box {
	ranges := make(map[string]Range, len(p.Inputs))
	for _, r := range p.Inputs {
		ranges[r.Input] = r
	}
	type key struct {
		values              bool
		dim, min, max, size int64
		role                contract.Role
		limits              contract.Limits
	}
	at := map[key]int{}
	var b box
	for _, t := range c.Inputs {
		r, ranged := ranges[t.Name]
		if r.Values && len(t.Values) == 0 || !ranged && fixedShape(t) {
			continue // what its contents are nobody said, or its shape is the graph's own
		}
		if r.Values {
			t.Dims = t.Values
		}
		for i, d := range t.Dims {
			lo, hi := int64(0), int64(-1) // what has no range holds nothing
			if i < len(r.Min) && i < len(r.Max) {
				lo, hi = r.Min[i], r.Max[i]
			}
			k := key{values: r.Values, dim: int64(i), min: lo, max: hi, size: d.Size, role: d.Role}
			if d.Limits != nil {
				k.limits = *d.Limits
			}
			if j, known := at[k]; known {
				b[j].inputs = append(b[j].inputs, t.Name)
				continue
			}
			at[k] = len(b)
			b = append(b, side{[]string{t.Name}, r.Values, i, d, lo, hi})
		}
	}
	return b
}

// fixedShape tells an input whose every size the graph states: no builder needs
// a range for it.
func fixedShape(t contract.Tensor) bool {
	for _, d := range t.Dims {
		if d.Size == 0 {
			return false
		}
	}
	return true
}

// asks is the smallest and the largest size that shapes ask of the side. A
// cache buffer must be no shorter than what it holds, and may be longer; a free
// dimension takes its limits in every pass.
func (d side) asks(s Shape) (lo, hi int64) {
	last := s.Last()
	switch {
	case d.role.Role == contract.Buffer:
		return int64(s.Total()), int64(last.Total())
	case d.role.Role == contract.Free && d.role.Size == 0:
		if d.role.Limits == nil {
			return d.min, d.min
		}
		return d.role.Limits.Min, d.role.Limits.Max
	}
	return d.role.Asked(int64(s.Batch), int64(s.Seq), int64(s.Past)),
		d.role.Asked(int64(last.Batch), int64(last.Seq), int64(last.Past))
}

// holds is what the side takes. A dimension that the graph fixes takes its own
// size alone, whatever a profile says, and any length that fits a buffer.
func (d side) holds() (lo, hi int64) {
	lo, hi = d.min, d.max
	if d.role.Size > 0 {
		lo, hi = max(lo, d.role.Size), min(hi, d.role.Size)
	}
	if d.role.Role == contract.Buffer && lo <= hi {
		lo = 0
	}
	return lo, hi
}

// off is by how much the side must grow to hold all of the shapes.
func (d side) off(s Shape) int64 {
	lo, hi := d.holds()
	from, to := d.asks(s)
	return max(lo-from, 0) + max(to-hi, 0)
}

// window is a part of a block: batches [b0, b1), lengths [r0, r1).
type window struct{ b0, b1, r0, r1 int }

func (w window) empty() bool { return w.b0 >= w.b1 || w.r0 >= w.r1 }

// inside is the part of a block that the box holds: a block is as regular as a
// profile, so the part is one block.
func (b box) inside(s Shape) window {
	w := window{0, s.batches(), 0, s.run()}
	clip := func(from, to *int, lo, hi, first int64) { // of sizes first, first+1, ... those from lo to hi
		*from = int(max(int64(*from), min(lo-first, int64(*to))))
		*to = int(min(int64(*to), max(hi-first+1, int64(*from))))
	}
	for _, d := range b {
		lo, hi := d.holds()
		first, last := d.asks(s)
		switch {
		case d.role.Size > 0 && d.role.Role != contract.Buffer && first == last:
			if first < lo || first > hi {
				return window{}
			}
		case d.role.Role == contract.Batch:
			clip(&w.b0, &w.b1, lo, hi, first)
		case s.run() > 1 && last > first && d.role.Role != contract.Free:
			clip(&w.r0, &w.r1, lo, hi, first)
		case first < lo || last > hi:
			return window{}
		}
		if w.empty() {
			return window{}
		}
	}
	return w
}

// cut divides a block into the part inside a window and what lies around it.
func (s Shape) cut(w window) (in Shape, around []Shape) {
	add := func(b0, b1, r0, r1 int) {
		if b0 < b1 && r0 < r1 {
			around = append(around, s.part(b0, b1, r0, r1))
		}
	}
	add(0, w.b0, 0, s.run())
	add(w.b0, w.b1, 0, w.r0)
	add(w.b0, w.b1, w.r1, s.run())
	add(w.b1, s.batches(), 0, s.run())
	return s.part(w.b0, w.b1, w.r0, w.r1), around
}

// distance is how far shapes are from a box: in how many quantities, by how much.
type distance struct{ sides, steps int64 }

func (d distance) less(e distance) bool {
	return d.sides < e.sides || d.sides == e.sides && d.steps < e.steps
}

// from counts a total only where past and sequence both fit: it follows them, and
// a profile that lacks nothing but past is nearer than one made for another phase.
func (b box) from(s Shape) distance {
	var d, total distance
	for _, side := range b {
		switch off := side.off(s); {
		case off == 0:
		case side.role.Role == contract.Total:
			total.sides, total.steps = total.sides+1, total.steps+off
		default:
			d.sides, d.steps = d.sides+1, d.steps+off
		}
	}
	if d.sides == 0 {
		return total
	}
	return d
}

// outside is every side that does not hold all of the shapes.
func (b box) outside(s Shape) (all []Outside) {
	for _, d := range b {
		if d.off(s) == 0 {
			continue
		}
		from, to := d.asks(s)
		o := Outside{Inputs: d.inputs, Values: d.values, Dim: d.dim, Size: from, To: to, Min: d.min, Max: d.max}
		if d.role.Size > 0 && (from != d.role.Size || to != d.role.Size) && d.role.Role != contract.Buffer || d.role.Role == contract.Buffer && d.role.Size > 0 && to > d.role.Size {
			o.Fixed, o.Min, o.Max = true, d.role.Size, d.role.Size
		}
		if d.role.Role == contract.Buffer {
			o.Size, o.Buffer = to, true
		}
		o.narrow()
		all = append(all, o)
	}
	return all
}
