package report

import (
	"fmt"
	"io"
	"strings"

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
	listed(&b, "Where systems cross", crossings)
	d.glanceTable(&b)
	d.failureLists(&b)
	for _, a := range d.Asides {
		b.WriteString(a.Markdown())
	}
	var missing []string
	for _, m := range d.missing() {
		missing = append(missing, fmt.Sprintf("%s (%s)", m.Reason, strings.Join(m.What, "; ")))
	}
	listed(&b, "Not evaluated here", missing)
	d.evidence(&b)
	d.origin(&b)
	n := &notes{}
	d.figureLines(n)
	listed(&b, "Notes", append(n.texts(), d.doubts()...))
	if _, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n"); err != nil {
		return fmt.Errorf("writing the summary: %w", err)
	}
	return nil
}

// glanceTable is one line an engine.
func (d *Data) glanceTable(b *strings.Builder) {
	t := newTable("lrrrrrl", "Engine", "Size", "Perplexity", "Change", "KL, nats", "Speed", "Gates")
	for _, g := range d.glance() {
		t.add(g.Name, g.Size, g.Perplexity, g.Change, g.KL, g.Speed, g.Verdict)
	}
	t.section(b, "Engines")
}

// deployTable is one line a choice, and what comes with the choices for all
// scenarios.
func (d *Data) deployTable(b *strings.Builder) {
	all := d.deployments()
	if len(all) == 0 {
		return
	}
	under(b, "What to deploy")
	for _, dep := range all {
		if dep.Title != "" {
			fmt.Fprintf(b, "### %s\n\n", dep.Title)
		}
		t := newTable("llrrrl", "Scenario", "Deploy", "Request", "Over FP32", "95 %", "Next best", "Lead", "95 %")
		for _, l := range dep.Lines {
			if l.Engine == "" {
				t.add(l.Scenario, "nothing: "+lowerFirst(l.Reason), "", "", "", "", "", "")
				continue
			}
			next := l.Next
			if l.Answer != "" {
				next += ", " + l.Answer
			}
			t.add(l.Scenario, l.Engine, l.Time, l.Speedup, l.SpeedupSpan, next, l.Lead, l.LeadSpan)
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
	under(b, "Deployment matrix")
	t := newTable("ll"+strings.Repeat("l", len(m.Backends)), append([]string{"Model", "Phase"}, m.Backends...)...)
	for _, l := range m.Lines {
		line := []string{strings.TrimSpace(l.Model + " " + l.Size), l.Phase}
		for _, c := range l.Cells {
			text := or(c.Reason, dash)
			if c.Engine != "" {
				text = strings.TrimSuffix(c.Engine+", "+c.Rate+", "+c.Speedup, ", ")
			}
			line = append(line, text)
		}
		t.add(line...)
	}
	t.write(b)
	for _, a := range m.Absent {
		fmt.Fprintf(b, "Without a column, %s.\n\n", a)
	}
}

// failureLists are the gates, those that failed first, and the requests that failed.
func (d *Data) failureLists(b *strings.Builder) {
	var failed []string
	for _, l := range d.gateLines(gate.Fail) {
		failed = append(failed, fmt.Sprintf("%s `%s` %s", l.Engine, l.Gate, strings.TrimSpace(l.Phase+": "+l.Evidence)))
	}
	listed(b, "Gates that fail", failed)
	if all := d.gateLines(gate.Pass); len(all) > 0 {
		t := newTable("lll", "Engine", "Gate", "Where", "Measured", "95 %", "Limit")
		for _, l := range all {
			t.add(l.Engine, "`"+l.Gate+"`", orDash(l.Phase), l.Value, l.Interval, l.Limit)
		}
		t.section(b, "Gates that pass")
		for _, note := range d.gateNotes() {
			fmt.Fprintf(b, "%s.\n\n", note)
		}
	}
	var requests []string
	for _, f := range d.failures() {
		requests = append(requests, fmt.Sprintf("%s in %s: %d of %d, %s: %s", f.Engine, f.Scenario, f.N, f.Of, f.Class, f.Cause))
	}
	listed(b, "Requests that failed", requests)
}

// lowerFirst continues a sentence.
func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
