package profiles

import "github.com/trtforge/trtforge/contract"

// around is the tightest box around shapes, its optimum the weighted median of
// each quantity.
func around(shapes []Shape) Profile {
	return Profile{
		Batch: extent(shapes, func(s Shape) int { return s.Batch }),
		Seq:   extent(shapes, bySeq),
		Past:  extent(shapes, byPast),
	}
}

// extent is the range and the weighted median of one quantity, which grows
// evenly along a block or not at all.
func extent(shapes []Shape, of func(Shape) int) Span {
	s := Span{Min: of(shapes[0]), Max: of(shapes[0].Last())}
	var events []event
	total := 0.0
	for _, shape := range shapes {
		a, b := of(shape), of(shape.Last())
		s.Min, s.Max = min(s.Min, a), max(s.Max, b)
		total += shape.Passes()
		events = span(events, a, b+1, shape.Passes()/float64(b-a+1))
	}
	s.Opt = s.Max
	half, sum, found := total/2*(1-1e-12), 0.0, false
	stretches(events, func(from, to int, passes float64) {
		if found {
			return
		}
		if n := passes * float64(to-from); sum+n < half {
			sum += n
			return
		}
		found = true
		s.Opt = from
		if passes > 0 {
			s.Opt = min(max(from, from+ceil((half-sum)/passes)-1), to-1)
		}
	})
	return s
}

func ceil(v float64) int {
	n := int(v)
	if float64(n) < v {
		n++
	}
	return n
}

// with fills in the ranges of every input. Minimum, optimum and maximum are each
// the shape of one pass, so total = past + seq holds at all three.
func (d *deriver) with(p Profile) Profile {
	p.Inputs = nil
	for _, t := range d.c.Inputs {
		values := len(t.Values) > 0
		if values {
			t.Dims = t.Values // a shape tensor's profile is about its contents
		}
		shape := func(of func(Span) int, free func(contract.Limits) int64) []int64 {
			shape := d.c.Shape(t, int64(of(p.Batch)), int64(of(p.Seq)), int64(of(p.Past)))
			for i, dim := range t.Dims {
				switch {
				case dim.Size > 0:
				case dim.Role == contract.Buffer:
					shape[i] = int64(d.capacity)
				case dim.Role == contract.Free:
					shape[i] = free(*dim.Limits)
				}
			}
			return shape
		}
		p.Inputs = append(p.Inputs, Range{
			Input: t.Name, Values: values,
			Min: shape(func(s Span) int { return s.Min }, func(l contract.Limits) int64 { return l.Min }),
			Opt: shape(func(s Span) int { return s.Opt }, func(l contract.Limits) int64 { return l.Opt }),
			Max: shape(func(s Span) int { return s.Max }, func(l contract.Limits) int64 { return l.Max }),
		})
	}
	return p
}
