package profiles

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
)

// Gap is neighbouring shapes that no reachable profile holds. Shape is the block
// from the first to the last of them; where a workload skips lengths, it asks for
// Shapes of the block only.
type Gap struct {
	Shape   Shape     `json:"shape"`   // its count is the mean over Shapes
	Shapes  int       `json:"shapes"`  // distinct shapes
	Passes  float64   `json:"passes"`  // of all of them, per unit of weight
	Profile int       `json:"profile"` // the nearest: the fewest sizes outside, then the smallest distance; -1 = there is none
	Outside []Outside `json:"outside,omitempty"`
	Asked   []Ask     `json:"asked,omitempty"` // who asks for it; [Workload.Attribute] fills it in
}

// Outside is sizes that the nearest profile of a gap does not hold. Inputs are
// all those of which it is true in the same way, as of every cache tensor.
type Outside struct {
	Inputs []string `json:"inputs"`
	Values bool     `json:"values,omitempty"` // Dim is an element of a shape tensor's contents
	Dim    int      `json:"dim"`
	Size   int64    `json:"size"`         // what the shapes ask for, the smallest
	To     int64    `json:"to,omitempty"` // and the largest, where they differ
	Min    int64    `json:"min"`          // what the profile holds
	Max    int64    `json:"max"`
	Fixed  bool     `json:"fixed,omitempty"`  // the graph itself allows no other size
	Buffer bool     `json:"buffer,omitempty"` // the size is the least that a cache buffer needs
}

// narrow leaves the asked sizes to those outside, where they lie on one side.
func (o *Outside) narrow() {
	if o.Max >= o.Min {
		if o.Size >= o.Min && o.Size <= o.Max && o.To > o.Max {
			o.Size = o.Max + 1
		} else if o.To >= o.Min && o.To <= o.Max && o.Size < o.Min {
			o.To = o.Min - 1
		}
	}
	if o.To == o.Size {
		o.To = 0
	}
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
	to := max(o.To, o.Size)
	what := "dimension"
	if o.Values {
		what = "value"
	}
	asked := fmt.Sprintf("%s %s %d is %s", inputs, what, o.Dim, fromTo(int(o.Size), int(to)))
	if o.Buffer {
		asked = fmt.Sprintf("%s dimension %d must hold %d", inputs, o.Dim, o.Size)
	}
	switch {
	case o.Fixed:
		return fmt.Sprintf("%s, and the graph fixes it at %d: export the graph with that dimension dynamic", asked, o.Min)
	case o.Max < o.Min:
		return fmt.Sprintf("%s has no range in profile %d: give it one that holds %s in dimension %d", inputs, profile, fromTo(int(o.Size), int(to)), o.Dim)
	}
	var ends []string
	if o.Size < o.Min && !o.Buffer {
		ends = append(ends, fmt.Sprintf("its min to %d", o.Size))
	}
	if to > o.Max {
		ends = append(ends, fmt.Sprintf("its max to %d", to))
	}
	return fmt.Sprintf("%s, profile %d holds %d to %d: set %s", asked, profile, o.Min, o.Max, strings.Join(ends, " and "))
}

// Replay divides a demand by what serves it: for each block the profile, the
// first that holds it as a runtime that tries them in order finds it, or -1 for
// none. With reach First only all[0] counts. Blocks are in the order of [Demand].
func Replay(c *contract.Contract, all []Profile, demand []Shape, reach Reach) (blocks []Shape, serving []int) {
	return replay(boxes(c, all, reach), demand)
}

func boxes(c *contract.Contract, all []Profile, reach Reach) []box {
	if reach == First && len(all) > 1 {
		all = all[:1]
	}
	boxes := make([]box, len(all))
	for i, p := range all {
		boxes[i] = p.box(c)
	}
	return boxes
}

// assigned is a block and what serves it.
type assigned struct {
	Shape
	profile int
}

func replay(boxes []box, demand []Shape) (blocks []Shape, serving []int) {
	out := make([]assigned, 0, len(demand))
	var rest, left []Shape // of one block, what no profile holds so far
	for _, s := range demand {
		rest = append(rest[:0], s)
		for i, b := range boxes {
			left = left[:0]
			for _, r := range rest {
				w := b.inside(r)
				if w.empty() {
					left = append(left, r)
					continue
				}
				in, around := r.cut(w)
				out = append(out, assigned{in, i})
				left = append(left, around...)
			}
			if rest, left = left, rest; len(rest) == 0 {
				break
			}
		}
		for _, r := range rest {
			out = append(out, assigned{r, -1})
		}
	}
	slices.SortStableFunc(out, func(a, b assigned) int { return compareShapes(a.Shape, b.Shape) })
	for _, s := range out {
		blocks, serving = append(blocks, s.Shape), append(serving, s.profile)
	}
	return blocks, serving
}

// Check replays a demand against profiles and returns what they do not hold:
// one gap for neighbours that lack the same, not one a token. With reach First
// only all[0] counts.
func Check(c *contract.Contract, all []Profile, demand []Shape, reach Reach) []Gap {
	boxes := boxes(c, all, reach)
	blocks, serving := replay(boxes, demand)
	return gaps(boxes, blocks, serving)
}

// gaps groups what nothing serves.
func gaps(boxes []box, blocks []Shape, serving []int) []Gap {
	var all []Gap
	var signs []int64 // of the last gap, by side: 0 holds, else which way it does not
	open := false     // the last gap may grow: nothing served lies between
	for i, s := range blocks {
		if serving[i] >= 0 {
			open = false
			continue
		}
		nearest := near(boxes, s)
		lacks := []int64(nil)
		if nearest >= 0 {
			lacks = boxes[nearest].signs(s)
		}
		if n := len(all); open && all[n-1].Profile == nearest && slices.Equal(lacks, signs) && all[n-1].grow(s) {
			continue
		}
		all = append(all, Gap{Shape: s, Shapes: s.Shapes(), Passes: s.Passes(), Profile: nearest})
		signs, open = lacks, true
	}
	for i := range all {
		g := &all[i]
		if g.Shape.Count = g.Passes / float64(g.Shapes); g.Profile >= 0 {
			g.Outside = boxes[g.Profile].outside(g.Shape)
		}
	}
	return all
}

// near is the profile that has to grow the least to hold all of a block.
func near(boxes []box, s Shape) int {
	nearest, best := -1, distance{}
	for i, b := range boxes {
		if d := b.from(s); nearest < 0 || d.less(best) {
			nearest, best = i, d
		}
	}
	return nearest
}

// signs is for each side whether shapes lie below it, above it, in it or on both
// ends.
func (b box) signs(s Shape) []int64 {
	all := make([]int64, len(b))
	for i, d := range b {
		lo, hi := d.holds()
		from, to := d.asks(s)
		if from < lo {
			all[i] |= 1
		}
		if to > hi {
			all[i] |= 2
		}
	}
	return all
}

// grow takes a later block of the same phase, batches and row in.
func (g *Gap) grow(s Shape) bool {
	a := g.Shape
	if a.Phase != s.Phase || a.Batch != s.Batch || a.batches() != s.batches() {
		return false
	}
	from, to := a.Seq, s.Last().Seq
	if a.Phase == Decode {
		from, to = a.Past, s.Last().Past
		if a.Seq != s.Seq {
			return false
		}
	} else if a.Past != s.Past {
		return false
	}
	g.Shape.Run = to - from + 1
	g.Shapes += s.Shapes()
	g.Passes += s.Passes()
	return true
}
