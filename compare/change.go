package compare

import (
	"fmt"

	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// Class is what became of a figure.
type Class string

// The classes.
const (
	Improved  Class = "improved"
	Regressed Class = "regressed"
	Changed   Class = "changed"   // and nobody says whether that is good
	Unchanged Class = "unchanged" // the ratio's whole interval lies within the margin
	Undecided Class = "undecided"
	Refused   Class = "refused" // not compared: another machine, another scenario, another unit
	New       Class = "new"     // only the new side has it
	Gone      Class = "gone"    // only the old side has it
)

// Classes are all classes, in the order in which they are counted up.
var Classes = []Class{Improved, Regressed, Changed, Unchanged, Undecided, Refused, New, Gone}

// Figure is a value with its 95 % interval.
type Figure struct {
	Value rows.Number `json:"value"`
	Lo    rows.Number `json:"lo"`
	Hi    rows.Number `json:"hi"`
	N     int         `json:"n"`
}

func figure(s stats.Summary) *Figure {
	return &Figure{Value: rows.Number(s.Value), Lo: rows.Number(s.Lo), Hi: rows.Number(s.Hi), N: s.N}
}

// summary is the figure of a row.
func summary(r rows.Row) stats.Summary {
	return stats.Summary{Value: r.Value, Lo: r.Lo, Hi: r.Hi, N: r.N}
}

// Change is one figure on both sides.
type Change struct {
	Engine   string  `json:"engine"`
	Scenario string  `json:"scenario,omitempty"`
	Phase    string  `json:"phase,omitempty"`
	Name     string  `json:"name"`
	Unit     string  `json:"unit"`
	Better   Better  `json:"better,omitempty"`
	Class    Class   `json:"class"`
	Old      *Figure `json:"old,omitempty"`
	New      *Figure `json:"new,omitempty"`
	// Ratio is new over old. It is absent where a side is not positive; the
	// difference then says what it can.
	Ratio      *Figure      `json:"ratio,omitempty"`
	Difference *Figure      `json:"difference,omitempty"`
	P          *rows.Number `json:"p,omitempty"`          // of the test alone; absent where none was made
	Adjusted   *rows.Number `json:"p_adjusted,omitempty"` // by Holm, over the comparison
	Test       string       `json:"test,omitempty"`
	Delta      *rows.Number `json:"cliffs_delta,omitempty"` // how much more often a new sample exceeds an old one
	Pairs      int          `json:"pairs,omitempty"`        // rounds that both sides measured, where those were compared
	Warnings   []string     `json:"warnings,omitempty"`
}

// key says which figure a row is.
type key struct{ engine, scenario, phase, name string }

func keyOf(r rows.Row) key { return key{r.Engine, r.Scenario, r.Phase, r.Name} }

// String names the figure for people.
func (k key) String() string {
	text := k.name
	if k.phase != "" {
		text = k.phase + " " + text
	}
	if k.scenario != "" {
		text += " of " + k.scenario
	}
	if k.engine != "" {
		text += ", " + k.engine
	}
	return text
}

// Label names the figure for people.
func (c Change) Label() string { return key{c.Engine, c.Scenario, c.Phase, c.Name}.String() }

// Worse is by what share the figure got worse, and the ends of that; negative
// where it got better. ok is false where that is not known.
func (c Change) Worse() (share, lo, hi float64, ok bool) {
	if c.Ratio == nil || c.Better == Neither {
		return 0, 0, 0, false
	}
	v, l, h := float64(c.Ratio.Value), float64(c.Ratio.Lo), float64(c.Ratio.Hi)
	if c.Better == Larger {
		return 1 - v, 1 - h, 1 - l, true
	}
	return v - 1, l - 1, h - 1, true
}

func (c *Change) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}
