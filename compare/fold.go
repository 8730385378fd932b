package compare

import (
	"fmt"
	"slices"
	"strings"
)

// few figures are listed whatever they are.
const few = 3

// fold leaves out what only one side has where that is an engine's whole scenario, and
// counts it instead: line by line it would say nothing more.
func (c *Comparison) fold() (shown []Change, counts []string) {
	type group struct{ engine, scenario string }
	of := func(one Change) group { return group{one.Engine, one.Scenario} }
	classes, size := map[group][]Class{}, map[group]int{}
	for _, one := range c.Changes {
		g := of(one)
		if size[g]++; !slices.Contains(classes[g], one.Class) {
			classes[g] = append(classes[g], one.Class)
		}
	}
	type line struct {
		class  Class
		engine string
	}
	var lines []line
	figures, scenarios := map[line]int{}, map[line][]string{}
	for _, one := range c.Changes {
		g := of(one)
		if size[g] <= few || len(classes[g]) > 1 || one.Class != New && one.Class != Gone {
			shown = append(shown, one)
			continue
		}
		l := line{one.Class, one.Engine}
		if figures[l]++; figures[l] == 1 {
			lines = append(lines, l)
		}
		if g.scenario != "" && !slices.Contains(scenarios[l], g.scenario) {
			scenarios[l] = append(scenarios[l], g.scenario)
		}
	}
	for _, l := range lines {
		text := fmt.Sprintf("%s: %s: %d figures", l.class, l.engine, figures[l])
		if len(scenarios[l]) > 0 {
			text += ", in " + first(scenarios[l])
		}
		counts = append(counts, text)
	}
	return shown, counts
}

// apart says what each side has where no figure of one has its like on the other.
func (c *Comparison) apart() {
	if slices.ContainsFunc(c.Changes, func(one Change) bool { return one.Class != New && one.Class != Gone }) {
		return
	}
	c.Warnings = append(c.Warnings, fmt.Sprintf(
		"the sides have nothing in common, figures are paired by the names of engine and scenario: old has %s; new has %s. Name engines alike (NAME=PATH) and measure the same scenarios; --engines A,B compares two engines of one directory",
		c.Old.holds(), c.New.holds()))
}

// holds are the names of what was measured.
func (r *Results) holds() string {
	var scenarios []string
	for _, row := range r.Rows {
		if row.Scenario != "" && !slices.Contains(scenarios, row.Scenario) {
			scenarios = append(scenarios, row.Scenario)
		}
	}
	text := first(r.Engines())
	if len(scenarios) > 0 {
		text += " in " + first(scenarios)
	}
	return text
}

// first are the first names, and how many more there are.
func first(names []string) string {
	const most = 6
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
