package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// What the page shows as pictures and folds away, the Markdown twin has as tables.

// evidence is everything behind the verdict: accuracy, rates, shapes, calibration,
// what was built, and where the figures come from.
func (d *Data) evidence(b *strings.Builder) {
	d.scoreTable(b)
	d.positionTable(b)
	d.latencyTable(b)
	d.rateTable(b)
	d.planTable(b)
	if c := d.calibrated(); c != nil {
		fmt.Fprintf(b, "## Calibration\n\n%s\n\n", c.About)
	}
	for i, q := range d.quantized() {
		if i == 0 {
			b.WriteString("## Quantization\n\n")
		}
		fmt.Fprintf(b, "- %s: %s\n", q.Engine, q.About)
		for _, k := range q.Kept {
			fmt.Fprintf(b, "  - %d stay float, %s: %s\n", k.N, k.Reason, k.What)
		}
		if i == len(d.quantized())-1 {
			b.WriteString("\n")
		}
	}
	d.builtTable(b)
}

// scoreTable is one line an engine and path.
func (d *Data) scoreTable(b *strings.Builder) {
	all := d.scores()
	if len(all) == 0 {
		return
	}
	b.WriteString("## Accuracy against PyTorch FP32\n\n")
	t := table{head: []string{"Engine", "Path", "Perplexity", "Change", "95 %", "KL mean", "KL 99 %", "Top-1", "Greedy match", "Tokens"}, left: make([]bool, 10)}
	t.left[0], t.left[1] = true, true
	for _, s := range all {
		t.lines = append(t.lines, []string{s.Engine, s.Phase, s.Perplexity, s.Change, s.ChangeSpan, s.KL, s.KL99, s.Top1, s.Greedy, s.Rows})
	}
	t.write(b)
}

// quarters are the parts of a window that the twin tells apart.
const quarters = 4

// positionTable is perplexity and divergence in each quarter of the window.
func (d *Data) positionTable(b *strings.Builder) {
	phase, engines := d.byPosition()
	if len(engines) == 0 {
		return
	}
	b.WriteString("## Perplexity and KL divergence by position in the window\n\n")
	t := table{head: []string{"Engine"}, left: []bool{true}}
	for i, e := range engines {
		nll, _ := rows.Find(d.Rows, e.Name, "", phase, validate.NLLByPosition)
		kl, _ := rows.Find(d.Rows, e.Name, "", phase, validate.KLByPosition)
		loss, far := joined(0, nll, quarters, math.Exp), joined(0, kl, quarters, func(v float64) float64 { return v })
		line := []string{e.Name}
		for k := range loss.y {
			if i == 0 {
				t.head, t.left = append(t.head, "about "+count(int64(loss.x[k]))), append(t.left, false)
			}
			cell := significant4(loss.y[k])
			if k < len(far.y) {
				cell += " / " + scientific(far.y[k])
			}
			line = append(line, cell)
		}
		t.lines = append(t.lines, line)
	}
	t.write(b)
}

// rateTable is one line a scenario, a column an engine.
func (d *Data) rateTable(b *strings.Builder) {
	engines := d.measured(bench.PrefillRate)
	if len(engines) == 0 {
		return
	}
	b.WriteString("## Throughput, tokens per second: prefill / decode\n\n")
	names := labels(engines)
	t := table{head: []string{"Scenario", "Batch × prompt + new"}, left: make([]bool, 2+len(engines))}
	t.left[0] = true
	for _, e := range engines {
		t.head = append(t.head, names[e.Name])
	}
	rate := func(engine, scenario, phase, name string) string {
		if r, ok := rows.Find(d.Rows, engine, scenario, phase, name); ok {
			return grouped(r.Value)
		}
		return dash
	}
	for _, s := range d.scenarios() {
		line, some := []string{s.Name, shapeOf(s)}, false
		for _, e := range engines {
			cell := rate(e.Name, s.Name, bench.Prefill, bench.PrefillRate) + " / " + rate(e.Name, s.Name, bench.Decode, bench.DecodeRate)
			some = some || cell != dash+" / "+dash
			line = append(line, cell)
		}
		if some {
			t.lines = append(t.lines, line)
		}
	}
	t.write(b)
}

// planTable is the proof, and one line a profile.
func (d *Data) planTable(b *strings.Builder) {
	all := d.planLines()
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "## Shapes and profiles\n\n%s\n\n", or(d.proof(), "The plan has no demand."))
	t := table{head: []string{"Profile", "Batch", "New tokens a run", "Past tokens", "Shapes served"}, left: []bool{true, false, false, false, false}}
	for _, l := range all {
		t.lines = append(t.lines, []string{fmt.Sprintf("%d · %s", l.Index, l.Name), l.Batch, l.Seq, l.Past, fmt.Sprint(l.Shapes)})
	}
	t.write(b)
}

// builtTable is one line an engine that was built.
func (d *Data) builtTable(b *strings.Builder) {
	all := d.built()
	if len(all) == 0 {
		return
	}
	b.WriteString("## What was built\n\n")
	t := table{head: []string{"Engine", "Asked", "Got", "Size", "Build time", "Builder", "Target", "Key"}, left: []bool{true, true, true, false, false, true, true, true}}
	for _, e := range all {
		t.lines = append(t.lines, []string{e.Name, e.Requested, e.Achieved, e.Size, e.Time, e.Builder, e.Target, "`" + e.Key + "`"})
	}
	t.write(b)
}

// origin is where the figures of each run come from.
func (d *Data) origin(b *strings.Builder) {
	all := d.runFacts()
	if len(all) == 0 {
		return
	}
	b.WriteString("## Where the figures come from\n\n")
	for _, r := range all {
		if len(all) > 1 {
			fmt.Fprintf(b, "### %s\n\n", or(r.Name, "a run"))
		}
		if r.Command != "" {
			fmt.Fprintf(b, "Made again by `%s`\n\n", r.Command)
		}
		for _, t := range r.Tables {
			var facts []string
			for _, f := range t.Facts {
				facts = append(facts, f.Name+" "+f.Value)
			}
			fmt.Fprintf(b, "- %s: %s\n", t.Title, strings.Join(facts, "; "))
		}
		b.WriteString("\n")
	}
}
