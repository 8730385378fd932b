package profiles

import (
	"fmt"

	"github.com/trtforge/trtforge/contract"
)

// Gap is a demanded shape that no reachable profile holds.
type Gap struct {
	Shape   Shape  `json:"shape"`
	Profile int    `json:"profile"` // the nearest: the fewest sizes outside, by the smallest distance; -1 = there is none
	Input   string `json:"input"`   // the first input outside of it
	Dim     int    `json:"dim"`
	Size    int64  `json:"size"` // what the shape asks for
	Min     int64  `json:"min"`  // what the profile holds
	Max     int64  `json:"max"`
}

// String says what is wrong and the smallest correction.
func (g Gap) String() string {
	if g.Profile < 0 {
		return "there is no profile"
	}
	end, to := "max", g.Size
	if g.Size < g.Min {
		end = "min"
	}
	return fmt.Sprintf("%s dimension %d is %d, profile %d holds %d to %d: set its %s to %d", g.Input, g.Dim, g.Size, g.Profile, g.Min, g.Max, end, to)
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
	for _, s := range demand {
		at, nearest, least := -1, Gap{Shape: s, Profile: -1}, int64(-1)
		for i, p := range all {
			g, distance := outside(c, p, s)
			if distance == 0 {
				at = i
				break
			}
			if least < 0 || distance < least {
				g.Shape, g.Profile = s, i
				nearest, least = g, distance
			}
		}
		if at < 0 {
			gaps = append(gaps, nearest)
		}
		coverage = append(coverage, at)
	}
	return gaps, coverage
}

// outside is the first size of the shape that the profile does not hold, and
// the sum of all distances; 0 where it holds the shape. An input that the
// profile does not name is held by nothing.
func outside(c *contract.Contract, p Profile, s Shape) (first Gap, distance int64) {
	ranges := make(map[string]Range, len(p.Inputs))
	for _, r := range p.Inputs {
		ranges[r.Input] = r
	}
	for _, t := range c.Inputs {
		r := ranges[t.Name]
		for d, size := range c.Shape(t, int64(s.Batch), int64(s.Seq), int64(s.Past)) {
			lo, hi := int64(0), int64(-1)
			if d < len(r.Min) && d < len(r.Max) {
				lo, hi = r.Min[d], r.Max[d]
			}
			off := max(lo-size, size-hi, 0)
			if off > 0 && distance == 0 {
				first = Gap{Input: t.Name, Dim: d, Size: size, Min: lo, Max: hi}
			}
			distance += off
		}
	}
	return first, distance
}
