package compare

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/stats"
)

// forms are the ways to write a comparison.
var forms = []struct {
	name  string
	write func(c *Comparison, w io.Writer, broken []Breach) error
}{
	{"table", (*Comparison).table},
	{"markdown", (*Comparison).markdown},
	{"csv", (*Comparison).csv},
	{"benchstat", (*Comparison).benchstat},
}

// Forms are the names of the forms that Write knows.
func Forms() (names []string) {
	for _, f := range forms {
		names = append(names, f.name)
	}
	return names
}

// Write writes the comparison, and what broke a limit, in a form: "table" for
// people, "markdown", "csv" with every number, or "benchstat", golang's layout.
func (c *Comparison) Write(w io.Writer, form string, broken []Breach) error {
	for _, f := range forms {
		if f.name == form {
			return f.write(c, w, broken)
		}
	}
	return fault.New(fault.Usage, "", "", fmt.Sprintf("no form %q", form), "want one of "+strings.Join(Forms(), ", "))
}

var heads = []string{"engine", "scenario", "figure", "old", "new", "change", "p", "effect", "class", ""}

// cells are a change as a line of a table.
func (c Change) cells(n *notes) []string {
	effect := ""
	if c.Delta != nil && c.Ratio != nil {
		effect = stats.Magnitude(float64(*c.Delta))
	}
	return []string{c.Engine, c.Scenario, c.label(), c.Old.text(), c.New.text(), c.ratio(), c.p(), effect, string(c.Class), n.marks(c.Warnings)}
}

func (c *Comparison) table(w io.Writer, broken []Breach) error {
	var b bytes.Buffer
	for _, line := range c.facts() {
		fmt.Fprintln(&b, line)
	}
	fmt.Fprintln(&b)
	shown, counts := c.fold()
	var n notes
	if len(shown) > 0 {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		_, _ = fmt.Fprintln(t, strings.ToUpper(strings.Join(heads, "\t")))
		for _, one := range shown {
			_, _ = fmt.Fprintln(t, strings.Join(one.cells(&n), "\t"))
		}
		_ = t.Flush()
		fmt.Fprintln(&b)
	}
	for _, line := range counts {
		fmt.Fprintln(&b, line)
	}
	for i, note := range n.all {
		fmt.Fprintf(&b, "[%d] %s\n", i+1, note)
	}
	fmt.Fprintf(&b, "%s\n%s\n", c.family(), c.Sentence())
	for _, br := range broken {
		fmt.Fprintf(&b, "beyond its limit: %s: %s\n", br.Change.Label(), br.Why)
	}
	return trimmed(w, b.String())
}

// trimmed writes lines without blanks at their ends.
func trimmed(w io.Writer, text string) error {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n"))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Comparison) markdown(w io.Writer, broken []Breach) error {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", escape(c.Sentence()))
	for _, br := range broken {
		fmt.Fprintf(&b, "- beyond its limit: %s: %s\n", escape(br.Change.Label()), escape(br.Why))
	}
	for _, line := range c.facts() {
		fmt.Fprintf(&b, "- %s\n", escape(line))
	}
	shown, counts := c.fold()
	if len(shown) > 0 {
		fmt.Fprintf(&b, "\n| %s | notes |\n|%s\n", strings.Join(heads[:len(heads)-1], " | "), strings.Repeat("---|", len(heads)))
	}
	var n notes
	for _, one := range shown {
		cells := one.cells(&n)
		for i := range cells {
			cells[i] = escape(cells[i])
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
	}
	b.WriteByte('\n')
	for _, line := range counts {
		fmt.Fprintf(&b, "- %s\n", escape(line))
	}
	for i, note := range n.all {
		fmt.Fprintf(&b, "- \\[%d\\] %s\n", i+1, escape(note))
	}
	fmt.Fprintf(&b, "- %s\n", escape(c.family()))
	_, err := io.WriteString(w, b.String())
	return err
}

// escape keeps names from becoming Markdown or HTML.
func escape(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "*", "\\*", "_", "\\_", "`", "\\`", "<", "&lt;", ">", "&gt;", "[", "\\[", "]", "\\]", "\n", " ").Replace(s)
}

func (c *Comparison) csv(w io.Writer, broken []Breach) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"engine", "scenario", "phase", "name", "unit", "better", "class",
		"old", "old_lo", "old_hi", "old_n", "new", "new_lo", "new_hi", "new_n", "ratio", "ratio_lo", "ratio_hi",
		"difference", "difference_lo", "difference_hi", "p", "p_adjusted", "test", "cliffs_delta", "pairs", "beyond_limit", "warnings"})
	for _, one := range c.Changes {
		beyond := ""
		if i := slices.IndexFunc(broken, func(b Breach) bool { return b.Change.Label() == one.Label() }); i >= 0 {
			beyond = broken[i].Why
		}
		record := []string{one.Engine, one.Scenario, one.Phase, one.Name, one.Unit, string(one.Better), string(one.Class)}
		record = append(record, append(one.Old.fields(), one.Old.count())...)
		record = append(record, append(one.New.fields(), one.New.count())...)
		record = append(append(record, one.Ratio.fields()...), one.Difference.fields()...)
		pairs := ""
		if one.Pairs > 0 {
			pairs = fmt.Sprint(one.Pairs)
		}
		_ = out.Write(append(record, plainNumber(one.P), plainNumber(one.Adjusted), one.Test, plainNumber(one.Delta), pairs, beyond, strings.Join(one.Warnings, "; ")))
	}
	out.Flush()
	return out.Error()
}

func (f *Figure) fields() []string {
	if f == nil {
		return []string{"", "", ""}
	}
	return []string{plainNumber(&f.Value), plainNumber(&f.Lo), plainNumber(&f.Hi)}
}

func (f *Figure) count() string {
	if f == nil {
		return ""
	}
	return fmt.Sprint(f.N)
}

// benchstat is the layout of golang's benchstat: a table a unit, ~ for what may be
// chance. Its p is adjusted, which benchstat's own is not.
func (c *Comparison) benchstat(w io.Writer, _ []Breach) error {
	var units []string
	for _, one := range c.Changes {
		if !slices.Contains(units, one.Unit) {
			units = append(units, one.Unit)
		}
	}
	var b bytes.Buffer
	for i, unit := range units {
		if i > 0 {
			fmt.Fprintln(&b)
		}
		t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
		_, _ = fmt.Fprintf(t, "\t%s\t%s\t\n\t%s\t%s\tvs base\n", c.Old.Name, c.New.Name, unit, unit)
		for _, one := range c.Changes {
			if one.Unit == unit {
				_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", one.path(), one.Old.text(), one.New.text(), one.versus())
			}
		}
		_ = t.Flush()
	}
	return trimmed(w, b.String())
}

// path names the figure as a benchmark does: Engine/scenario/phase/name.
func (c Change) path() string {
	var parts []string
	for _, p := range []string{c.Engine, c.Scenario, c.Phase, c.Name} {
		if p != "" {
			parts = append(parts, strings.ReplaceAll(p, " ", ""))
		}
	}
	return strings.Join(parts, "/")
}

// versus is the change as benchstat writes it.
func (c Change) versus() string {
	text := "~"
	if c.Ratio != nil && (c.Class == Improved || c.Class == Regressed || c.Class == Changed) {
		text = fmt.Sprintf("%+.2f%%", 100*(float64(c.Ratio.Value)-1))
	}
	if c.Adjusted != nil && c.Old != nil && c.New != nil {
		n := fmt.Sprintf("n=%d+%d", c.Old.N, c.New.N)
		if c.Old.N == c.New.N {
			n = fmt.Sprintf("n=%d", c.Old.N)
		}
		text += fmt.Sprintf(" (p=%.3f %s)", float64(*c.Adjusted), n)
	}
	if c.Class == Refused || c.Class == New || c.Class == Gone {
		text = string(c.Class)
	}
	return text
}
