package compare

import (
	"fmt"
	"math"
	"strings"

	"github.com/trtforge/trtforge/rows"
)

// text is a figure for people: 12.3 ±4 %, 12.3 where it has no spread, 12.3 ±? where
// it has no interval.
func (f *Figure) text() string {
	if f == nil {
		return ""
	}
	v, lo, hi := float64(f.Value), float64(f.Lo), float64(f.Hi)
	value := number(v)
	switch {
	case lo == v && hi == v, notFinite(v):
		return value
	case notFinite(lo) || notFinite(hi):
		return value + " ±?"
	case v == 0:
		return fmt.Sprintf("%s [%s, %s]", value, number(lo), number(hi))
	}
	return fmt.Sprintf("%s ±%s %%", value, percent(100*max(hi-v, v-lo)/math.Abs(v)))
}

// percent has a decimal below 10 only, so that a narrow interval is not ±0.
func percent(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// number has four digits that count, all of those before the point.
func number(v float64) string {
	if math.Abs(v) >= 10_000 && !math.IsInf(v, 0) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// manyTimes is the ratio from which on a share says less than a factor.
const manyTimes = 10

// ratio is the change for people: -8.1 % [-9.0, -7.2].
func (c Change) ratio() string {
	switch {
	case c.Ratio != nil:
		if c.Ratio.Value >= manyTimes {
			return interval(c.Ratio, func(v float64) string { return fmt.Sprintf("%.3g", v) }, " times")
		}
		return interval(c.Ratio, func(v float64) string { return fmt.Sprintf("%+.1f", 100*(v-1)) }, " %")
	case c.Difference != nil:
		return interval(c.Difference, func(v float64) string { return fmt.Sprintf("%+.3g", v) }, "")
	}
	return ""
}

func interval(f *Figure, text func(v float64) string, unit string) string {
	v, lo, hi := float64(f.Value), float64(f.Lo), float64(f.Hi)
	switch {
	case lo == v && hi == v:
		return text(v) + unit
	case notFinite(lo) || notFinite(hi):
		return text(v) + unit + ", no 95 % interval"
	}
	return fmt.Sprintf("%s%s [%s, %s]", text(v), unit, text(lo), text(hi))
}

// p is the adjusted p for people.
func (c Change) p() string {
	switch {
	case c.Adjusted == nil || math.IsNaN(float64(*c.Adjusted)):
		return ""
	case *c.Adjusted < 0.001:
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", float64(*c.Adjusted))
}

// label is the figure with its phase and unit.
func (c Change) label() string {
	text := c.Name
	if c.Phase != "" {
		text = c.Phase + " " + text
	}
	if c.Unit != "" && c.Unit != "1" {
		text += " " + c.Unit
	}
	return text
}

// Sentence is what the comparison came to, in one line.
func (c *Comparison) Sentence() string {
	var parts []string
	for _, class := range Classes {
		if n := c.Count(class); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, class))
		}
	}
	return fmt.Sprintf("%d figures: %s", len(c.Changes), strings.Join(parts, ", "))
}

// notes collects warnings once each and gives them numbers.
type notes struct {
	all    []string
	number map[string]int
}

// marks are the numbers of warnings, as [1] [2].
func (n *notes) marks(warnings []string) string {
	if n.number == nil {
		n.number = map[string]int{}
	}
	var marks []string
	for _, w := range warnings {
		if n.number[w] == 0 {
			n.all = append(n.all, w)
			n.number[w] = len(n.all)
		}
		marks = append(marks, fmt.Sprintf("[%d]", n.number[w]))
	}
	return strings.Join(marks, " ")
}

// facts are the lines that stand above every form of the comparison: the sides and
// what is to be doubted of both together.
func (c *Comparison) facts() []string {
	lines := []string{"old: " + c.Old.describe(), "new: " + c.New.describe()}
	for _, m := range c.Machines {
		lines = append(lines, "the machines differ: "+m)
	}
	for _, w := range c.Warnings {
		lines = append(lines, "note: "+w)
	}
	return lines
}

func (r *Results) describe() string {
	if r.Machine == nil {
		return r.Name
	}
	return fmt.Sprintf("%s, on %s, %d threads", r.Name, r.Machine.CPU, r.Machine.Threads)
}

// family says what the p of the comparison are.
func (c *Comparison) family() string {
	if c.Tested == 0 {
		return "no figure has samples on both sides: changes are judged by their intervals alone"
	}
	return fmt.Sprintf("p is adjusted by Holm over %d tests; unchanged is within ±%.3g %%, figures of accuracy ±%.3g %%", c.Tested, 100*c.Margin, 100*c.Margin*accuracyMargin)
}

func plainNumber(n *rows.Number) string {
	if n == nil {
		return ""
	}
	return fmt.Sprint(float64(*n))
}
