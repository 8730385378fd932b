package profiles

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/contract"
)

// Gap is a demanded shape that no reachable profile holds.
type Gap struct {
	Shape   Shape     `json:"shape"`
	Profile int       `json:"profile"` // the nearest: the fewest sizes outside, then the smallest distance; -1 = there is none
	Outside []Outside `json:"outside,omitempty"`
}

// Outside is a size that the nearest profile of a gap does not hold. Inputs are
// all those of which it is true in the same way, as of every cache tensor.
type Outside struct {
	Inputs []string `json:"inputs"`
	Dim    int      `json:"dim"`
	Size   int64    `json:"size"` // what the shape asks for
	Min    int64    `json:"min"`  // what the profile holds
	Max    int64    `json:"max"`
	Fixed  bool     `json:"fixed,omitempty"` // the graph itself allows no other size
}

// String says what is wrong and the smallest correction.
func (g Gap) String() string {
	if g.Profile < 0 {
		return "there is no profile"
	}
	var all []string
	for _, o := range g.Outside {
		all = append(all, o.describe(g.Profile))
	}
	return strings.Join(all, "; ")
}

func (o Outside) describe(profile int) string {
	inputs := o.Inputs[0]
	if n := len(o.Inputs); n > 1 {
		inputs = fmt.Sprintf("%s (and %d more)", inputs, n-1)
	}
	if o.Fixed {
		return fmt.Sprintf("%s dimension %d is %d, and the graph fixes it at %d: export the graph with that dimension dynamic", inputs, o.Dim, o.Size, o.Min)
	}
	if o.Max < o.Min {
		return fmt.Sprintf("%s has no range in profile %d: give it one that holds %d in dimension %d", inputs, profile, o.Size, o.Dim)
	}
	end := "max"
	if o.Size < o.Min {
		end = "min"
	}
	return fmt.Sprintf("%s dimension %d is %d, profile %d holds %d to %d: set its %s to %d", inputs, o.Dim, o.Size, profile, o.Min, o.Max, end, o.Size)
}

// Check replays a demand against profiles and returns what they do not hold.
// With reach First only profiles[0] counts.
func Check(c *contract.Contract, all []Profile, demand []Shape, reach Reach) []Gap {
	gaps, _ := cover(c, all, demand, reach)
	return gaps
}

// cover is the gaps, and for each shape the profile that serves it: the first
// that holds it, as a runtime that tries them in order finds it; -1 for a gap.
func cover(c *contract.Contract, all []Profile, demand []Shape, reach Reach) (gaps []Gap, coverage []int) {
	if reach == First && len(all) > 1 {
		all = all[:1]
	}
	boxes := make([]box, len(all))
	for i, p := range all {
		boxes[i] = p.box(c)
	}
	for _, s := range demand {
		at, nearest, best := -1, -1, distance{}
		for i, b := range boxes {
			d := b.from(s)
			if d == (distance{}) {
				at = i
				break
			}
			if nearest < 0 || d.less(best) {
				nearest, best = i, d
			}
		}
		coverage = append(coverage, at)
		if at < 0 {
			g := Gap{Shape: s, Profile: nearest}
			if nearest >= 0 {
				g.Outside = boxes[nearest].outside(s)
			}
			gaps = append(gaps, g)
		}
	}
	return gaps, coverage
}

// side is a range that a profile sets on one dimension of one or more inputs.
type side struct {
	inputs   []string
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
		dim, min, max, size int64
		role                contract.Role
	}
	at := map[key]int{}
	var b box
	for _, t := range c.Inputs {
		r := ranges[t.Name]
		for i, d := range t.Dims {
			lo, hi := int64(0), int64(-1) // what has no range holds nothing
			if i < len(r.Min) && i < len(r.Max) {
				lo, hi = r.Min[i], r.Max[i]
			}
			k := key{int64(i), lo, hi, d.Size, d.Role}
			if j, known := at[k]; known {
				b[j].inputs = append(b[j].inputs, t.Name)
				continue
			}
			at[k] = len(b)
			b = append(b, side{[]string{t.Name}, i, d, lo, hi})
		}
	}
	return b
}

// off is how far the side is from holding the shape. A dimension that the graph
// fixes holds its own size alone, whatever a profile says.
func (d side) off(s Shape) int64 {
	size := d.role.Asked(int64(s.Batch), int64(s.Seq), int64(s.Past))
	lo, hi := d.min, d.max
	if d.role.Size > 0 {
		lo, hi = max(lo, d.role.Size), min(hi, d.role.Size)
	}
	return max(lo-size, size-hi, 0)
}

// distance is how far a shape is from a box: in how many sides, by how much.
type distance struct{ sides, steps int64 }

func (d distance) less(e distance) bool {
	return d.sides < e.sides || d.sides == e.sides && d.steps < e.steps
}

func (b box) from(s Shape) (d distance) {
	for _, side := range b {
		if off := side.off(s); off > 0 {
			d.sides++
			d.steps += off
		}
	}
	return d
}

func (b box) outside(s Shape) (all []Outside) {
	for _, d := range b {
		if d.off(s) == 0 {
			continue
		}
		o := Outside{Inputs: d.inputs, Dim: d.dim, Size: d.role.Asked(int64(s.Batch), int64(s.Seq), int64(s.Past)), Min: d.min, Max: d.max}
		if d.role.Size > 0 && o.Size != d.role.Size {
			o.Fixed, o.Min, o.Max = true, d.role.Size, d.role.Size
		}
		all = append(all, o)
	}
	return all
}
