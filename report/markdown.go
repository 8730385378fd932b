package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/gate"
)

// Markdown writes the page's twin: the same parts in the same words, with tables in
// the place of pictures. Single figures with their samples are in rows.jsonl.
func Markdown(w io.Writer, d Data) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n\n", orDash(d.Title), lowerFirst(d.headline()))
	_, crossings := d.crossover()
	if lead := d.lead(crossings); len(lead) > 0 {
		fmt.Fprintf(&b, "%s\n\n", strings.Join(lead, " "))
	}
	d.deployTable(&b)
	d.matrixLines(&b)
	if len(crossings) > 0 {
		fmt.Fprintf(&b, "## Where systems cross\n\n- %s\n\n", strings.Join(crossings, "\n- "))
	}
	d.glanceTable(&b)
	d.failureLists(&b)
	for _, a := range d.Asides {
		b.WriteString(a.Markdown())
	}
	if all := d.missing(); len(all) > 0 {
		b.WriteString("## Not evaluated here\n\n")
		for _, m := range all {
			fmt.Fprintf(&b, "- %s (%s)\n", m.Reason, strings.Join(m.What, "; "))
		}
		b.WriteString("\n")
	}
	d.evidence(&b)
	d.origin(&b)
	n := &notes{}
	d.figureLines(n)
	if all := append(n.texts(), d.doubts()...); len(all) > 0 {
		b.WriteString("## Notes\n\n")
		for _, text := range all {
			fmt.Fprintf(&b, "- %s\n", text)
		}
		b.WriteString("\n")
	}
	if _, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}

// glanceTable is one line an engine.
func (d *Data) glanceTable(b *strings.Builder) {
	all := d.glance()
	if len(all) == 0 {
		return
	}
	b.WriteString("## Engines\n\n")
	t := table{head: []string{"Engine", "Size", "Perplexity", "Change", "KL, nats", "Speed", "Gates"}, left: []bool{0: true, 6: true}}
	for _, g := range all {
		t.lines = append(t.lines, []string{g.Name, g.Size, g.Perplexity, g.Change, g.KL, g.Speed, g.Verdict})
	}
	t.write(b)
}

// deployTable is one line a choice, and what comes with the choices for all
// scenarios.
func (d *Data) deployTable(b *strings.Builder) {
	all := d.deployments()
	if len(all) == 0 {
		return
	}
	b.WriteString("## What to deploy\n\n")
	for _, dep := range all {
		if dep.Title != "" {
			fmt.Fprintf(b, "### %s\n\n", dep.Title)
		}
		t := table{head: []string{"Scenario", "Deploy", "Request", "Over FP32", "95 %", "Next best", "Lead", "95 %"}, left: []bool{true, true, false, false, false, true, false, false}}
		for _, l := range dep.Lines {
			if l.Engine == "" {
				t.lines = append(t.lines, []string{l.Scenario, "nothing: " + lowerFirst(l.Reason), "", "", "", "", "", ""})
				continue
			}
			next := l.Next
			if l.Answer != "" {
				next += ", " + l.Answer
			}
			t.lines = append(t.lines, []string{l.Scenario, l.Engine, l.Time, l.Speedup, l.SpeedupSpan, next, l.Lead, l.LeadSpan})
		}
		t.write(b)
		for _, c := range dep.Costs {
			fmt.Fprintf(b, "%s\n", c)
		}
		for _, l := range dep.Left {
			fmt.Fprintf(b, "- not considered: %s, %s\n", l.Engine, l.Reason)
		}
		if len(dep.Costs)+len(dep.Left) > 0 {
			b.WriteString("\n")
		}
	}
}

// matrixLines is the deployment matrix.
func (d *Data) matrixLines(b *strings.Builder) {
	m := d.matrixTable()
	if m == nil {
		return
	}
	b.WriteString("## Deployment matrix\n\n")
	t := table{head: append([]string{"Model", "Phase"}, m.Backends...)}
	t.left = make([]bool, len(t.head))
	for i := range t.left {
		t.left[i] = true
	}
	for _, l := range m.Lines {
		line := []string{strings.TrimSpace(l.Model + " " + l.Size), l.Phase}
		for _, c := range l.Cells {
			text := or(c.Reason, dash)
			if c.Engine != "" {
				text = strings.TrimSuffix(c.Engine+", "+c.Rate+", "+c.Speedup, ", ")
			}
			line = append(line, text)
		}
		t.lines = append(t.lines, line)
	}
	t.write(b)
	for _, a := range m.Absent {
		fmt.Fprintf(b, "Without a column, %s.\n\n", a)
	}
}

// failureLists are the gates, those that failed first, and the requests that failed.
func (d *Data) failureLists(b *strings.Builder) {
	if all := d.gateLines(gate.Fail); len(all) > 0 {
		b.WriteString("## Gates that fail\n\n")
		for _, l := range all {
			fmt.Fprintf(b, "- %s `%s` %s\n", l.Engine, l.Gate, strings.TrimSpace(l.Phase+": "+l.Evidence))
		}
		b.WriteString("\n")
	}
	if all := d.gateLines(gate.Pass); len(all) > 0 {
		b.WriteString("## Gates that pass\n\n")
		t := table{head: []string{"Engine", "Gate", "Where", "Measured", "95 %", "Limit"}, left: []bool{true, true, true, false, false, false}}
		for _, l := range all {
			t.lines = append(t.lines, []string{l.Engine, "`" + l.Gate + "`", orDash(l.Phase), l.Value, l.Interval, l.Limit})
		}
		t.write(b)
		for _, note := range d.gateNotes() {
			fmt.Fprintf(b, "%s.\n\n", note)
		}
	}
	if all := d.failures(); len(all) > 0 {
		b.WriteString("## Requests that failed\n\n")
		for _, f := range all {
			fmt.Fprintf(b, "- %s in %s: %d of %d, %s: %s\n", f.Engine, f.Scenario, f.N, f.Of, f.Class, f.Cause)
		}
		b.WriteString("\n")
	}
}

// latencyTable is one line a scenario, two columns an engine.
func (d *Data) latencyTable(b *strings.Builder) {
	engines := d.measured(bench.TTFT)
	if len(engines) == 0 {
		return
	}
	b.WriteString("## Latency, medians: first token / each further token\n\n")
	names := labels(engines)
	t := table{head: []string{"Scenario", "Batch × prompt + new"}, left: []bool{true}}
	for _, e := range engines {
		t.head = append(t.head, names[e.Name])
	}
	t.left = append(t.left, make([]bool, len(t.head)-1)...)
	for _, s := range d.scenarios() {
		line := []string{s.Name, shapeOf(s)}
		for _, e := range engines {
			first := d.timeMark(e.Name, s.Name, bench.Prefill, bench.TTFT)
			next := d.timeMark(e.Name, s.Name, bench.Decode, bench.TPOT)
			line = append(line, first.text+" / "+next.text)
		}
		t.lines = append(t.lines, line)
	}
	t.write(b)
}

// table is a Markdown table whose columns line up in the source too.
type table struct {
	head  []string
	left  []bool // columns of text; the others are numbers
	lines [][]string
}

// plainCell keeps what ends a cell or a line out of a cell.
var plainCell = strings.NewReplacer("|", `\|`, "\n", " ")

func (t table) write(b *strings.Builder) {
	widths := make([]int, len(t.head))
	for _, line := range append([][]string{t.head}, t.lines...) {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)), 3)
		}
	}
	row := func(line []string) {
		for i, cell := range line {
			cell = plainCell.Replace(cell)
			pad := strings.Repeat(" ", max(widths[i]-len([]rune(cell)), 0))
			if t.left[i] {
				cell += pad
			} else {
				cell = pad + cell
			}
			b.WriteString("| " + cell + " ")
		}
		b.WriteString("|\n")
	}
	row(t.head)
	for i, w := range widths {
		rule := strings.Repeat("-", w+1)
		if t.left[i] {
			b.WriteString("|:" + rule)
		} else {
			b.WriteString("|" + rule + ":")
		}
	}
	b.WriteString("|\n")
	for _, line := range t.lines {
		row(line)
	}
	b.WriteString("\n")
}

// lowerFirst continues a sentence.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
