package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/gate"
)

// headline is the verdict in one line: what to deploy where that is one thing,
// else what the gates say.
func (d *Data) headline() string {
	if d.FirstLine != "" {
		return d.FirstLine
	}
	n := d.counts()
	overall := d.overall()
	if len(overall) == 1 && overall[0].Engine != "" {
		return "Deploy " + overall[0].Engine
	}
	switch {
	case len(d.Verdicts) == 0:
		return "No gates were set"
	case n[gate.Fail] > 0:
		return fmt.Sprintf("%d of %d gates failed", n[gate.Fail], n[gate.Fail]+n[gate.Pass])
	case n[gate.Pass] == 0:
		return "No gate could be evaluated here"
	case n[gate.NotEvaluated] > 0:
		return fmt.Sprintf("All %d gates that could be evaluated pass", n[gate.Pass])
	}
	return fmt.Sprintf("All %d gates pass", n[gate.Pass])
}

// overall are the choices for all scenarios together.
func (d *Data) overall() []gate.Choice {
	return slices.DeleteFunc(slices.Clone(d.Choices), func(c gate.Choice) bool { return c.Scenario != "" && d.several(c) })
}

// several tells whether a choice is one of several scenarios of its family: then
// there is one for all of them, too.
func (d *Data) several(c gate.Choice) bool {
	return slices.ContainsFunc(d.Choices, func(o gate.Choice) bool { return o.Scenario == "" && o.Backend == c.Backend && o.Group == c.Group })
}

// lead is what happened, in a few sentences; crossings are those of the picture of
// models of several sizes.
func (d *Data) lead(crossings []string) []string {
	var lines []string
	if overall := d.overall(); len(overall) == 1 && overall[0].Engine != "" {
		lines = append(lines, d.why(overall[0]))
	} else if len(crossings) > 0 {
		lines = append(lines, crossings...)
	} else if len(overall) > 1 {
		lines = append(lines, deploying(overall)...)
	}
	lines = append(lines, d.gateSentence()...)
	var idle, ran int
	for _, e := range d.Engines {
		if e.Idle == "" {
			ran++
		} else {
			idle++
		}
	}
	if idle > 0 {
		lines = append(lines, fmt.Sprintf("%s ran here; %s built and checked, not run.", upperFirst(plural(ran, "engine")), more(idle)+were(idle)))
	}
	if n := d.failed(); n > 0 {
		lines = append(lines, fmt.Sprintf("%s failed and entered no figure.", upperFirst(plural(n, "request"))))
	}
	if p := d.proof(); p != "" {
		lines = append(lines, p)
	}
	return lines
}

// mostNamed is how many engines a sentence names.
const mostNamed = 5

// deploying says what to deploy of each of several backends, models or machines.
func deploying(overall []gate.Choice) []string {
	var names []string
	for _, c := range overall {
		if c.Engine != "" {
			names = append(names, c.Engine)
		}
	}
	switch n := len(overall) - len(names); {
	case len(names) == 0:
		return nil
	case n > 0:
		return []string{fmt.Sprintf("Deploy %s; of %d others none passed.", list(names), n)}
	}
	return []string{fmt.Sprintf("Deploy %s.", list(names))}
}

// list is names in a sentence, the first of them where there are many.
func list(names []string) string {
	switch n := len(names); {
	case n == 1:
		return names[0]
	case n > mostNamed:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), n-mostNamed)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// why says in a sentence what speaks for a choice.
func (d *Data) why(c gate.Choice) string {
	first := fmt.Sprintf("of the %s engines that pass their gates it is the fastest", c.Backend)
	if c.Speedup != nil {
		sure := ends(c.Speedup, factor)
		if c.Speedup.Bounded() {
			sure = "95 %: " + sure
		}
		first = fmt.Sprintf("it is %s as fast as %s over whole requests (%s)", times(float64(c.Speedup.Value)), c.Over, sure)
	}
	parts := []string{first}
	if c.Cost != nil && c.Cost.PPLRatio > 0 {
		parts = append(parts, fmt.Sprintf("with %s perplexity against PyTorch FP32", percent(float64(c.Cost.PPLRatio))))
	}
	s := upperFirst(strings.Join(parts, ", ")) + "."
	if c.RunnerUp != "" && !c.Resolved {
		s += fmt.Sprintf(" The measurement does not tell it from %s.", c.RunnerUp)
	}
	if c.Note != "" {
		s += " " + upperFirst(c.Note) + "."
	}
	return s
}

// gateSentence is what the gates say, where the headline says something else.
func (d *Data) gateSentence() []string {
	n := d.counts()
	switch {
	case len(d.Verdicts) == 0:
		return nil
	case d.FirstLine == "" && !strings.HasPrefix(d.headline(), "Deploy"):
		if n[gate.Fail] > 0 {
			return []string{fmt.Sprintf("Gates fail for %s.", list(d.failing()))}
		}
		return nil
	}
	s := "All gates pass."
	var some []string
	if n[gate.Fail] > 0 || n[gate.NotEvaluated] > 0 {
		some = append(some, fmt.Sprintf("%s pass", plural(n[gate.Pass], "gate")))
		if n[gate.Pass] == 1 {
			some[0] = "one gate passes"
		}
		if n[gate.Fail] > 0 {
			some = append(some, fmt.Sprintf("%d fail (%s)", n[gate.Fail], list(d.failing())))
		}
		if n[gate.NotEvaluated] > 0 {
			some = append(some, fmt.Sprintf("%d could not be evaluated here", n[gate.NotEvaluated]))
		}
		s = upperFirst(strings.Join(some, ", ")) + "."
	}
	return []string{s}
}

// failing are the engines that failed a gate.
func (d *Data) failing() []string {
	var names []string
	for _, v := range d.Verdicts {
		if v.Status == gate.Fail && !slices.Contains(names, v.Engine) {
			names = append(names, v.Engine)
		}
	}
	return names
}

// times is a factor as a word before "as": "1.10 times".
func times(v float64) string { return significant(v) + " times" }

// factor is a ratio of two figures.
func factor(v float64) string { return significant(v) + " ×" }

// ends are an interval in words, or that there is none.
func ends(f *gate.Figure, show func(float64) string) string {
	if f == nil || f.Lo == f.Hi {
		return ""
	}
	if !f.Bounded() {
		return "no 95 % interval"
	}
	return strings.TrimSuffix(between(show(float64(f.Lo)), show(float64(f.Hi))), " ×")
}

// between is a range whose ends share a unit where they can.
func between(lo, hi string) string {
	n := strings.Index(hi, " × 10") // else the last word is the unit
	if n < 0 {
		n = strings.LastIndex(hi, " ")
	}
	if lo == hi {
		return hi
	}
	if n > 0 {
		lo = strings.TrimSuffix(lo, hi[n:])
	}
	return lo + " – " + hi
}

// more are further ones of what was just named.
func more(n int) string {
	if n == 1 {
		return "one more"
	}
	return fmt.Sprintf("%d more", n)
}
