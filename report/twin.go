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
		under(b, "Calibration")
		fmt.Fprintf(b, "%s\n\n", c.About)
	}
	var quantized []string
	for _, q := range d.quantized() {
		text := q.Engine + ": " + q.About
		for _, k := range q.Kept {
			text += fmt.Sprintf("\n  - %d stay float, %s: %s", k.N, k.Reason, k.What)
		}
		quantized = append(quantized, text)
	}
	listed(b, "Quantization", quantized)
	d.builtTable(b)
}

// scoreTable is one line an engine and path.
func (d *Data) scoreTable(b *strings.Builder) {
	t := newTable("ll", "Engine", "Path", "Perplexity", "Change", "95 %", "KL mean", "KL 99 %", "Top-1", "Greedy match", "Tokens")
	for _, s := range d.scores() {
		t.add(s.Engine, s.Phase, s.Perplexity, s.Change, s.ChangeSpan, s.KL, s.KL99, s.Top1, s.Greedy, s.Rows)
	}
	t.section(b, "Accuracy against PyTorch FP32")
}

// quarters are the parts of a window that the twin tells apart.
const quarters = 4

// positionTable is perplexity and divergence in each quarter of the window.
func (d *Data) positionTable(b *strings.Builder) {
	phase, engines := d.byPosition()
	if len(engines) == 0 {
		return
	}
	t := newTable("l", "Engine")
	for i, e := range engines {
		nll, _ := rows.Find(d.Rows, e.Name, "", phase, validate.NLLByPosition)
		kl, _ := rows.Find(d.Rows, e.Name, "", phase, validate.KLByPosition)
		loss, far := joined(0, nll, quarters, math.Exp), joined(0, kl, quarters, func(v float64) float64 { return v })
		line := []string{e.Name}
		for k := range loss.y {
			if i == 0 {
				t.head, t.align = append(t.head, "about "+count(int64(loss.x[k]))), t.align+"r"
			}
			cell := significant4(loss.y[k])
			if k < len(far.y) {
				cell += " / " + scientific(far.y[k])
			}
			line = append(line, cell)
		}
		t.add(line...)
	}
	t.section(b, "Perplexity and KL divergence by position in the window")
}

// latencyTable is the times of each scenario.
func (d *Data) latencyTable(b *strings.Builder) {
	time := func(engine, scenario, phase, name string) string {
		return d.timeMark(engine, scenario, phase, name).text
	}
	d.pairTable(b, "Latency, medians: first token / each further token", bench.TTFT, bench.TPOT, time)
}

// rateTable is the tokens per second of each scenario.
func (d *Data) rateTable(b *strings.Builder) {
	rate := func(engine, scenario, phase, name string) string {
		if r, ok := rows.Find(d.Rows, engine, scenario, phase, name); ok {
			return grouped(r.Value)
		}
		return dash
	}
	d.pairTable(b, "Throughput, tokens per second: prefill / decode", bench.PrefillRate, bench.DecodeRate, rate)
}

// pairTable is one line a scenario with a figure of prefill and one of decode for each
// engine.
func (d *Data) pairTable(b *strings.Builder, title, prefill, decode string, show func(engine, scenario, phase, name string) string) {
	engines := d.measured(prefill)
	names := labels(engines)
	t := newTable("l", "Scenario", "Batch × prompt + new")
	for _, e := range engines {
		t.head = append(t.head, names[e.Name])
	}
	t.align = "l" + strings.Repeat("r", len(t.head)-1)
	for _, s := range d.scenarios() {
		line, some := []string{s.Name, shapeOf(s)}, false
		for _, e := range engines {
			first, next := show(e.Name, s.Name, bench.Prefill, prefill), show(e.Name, s.Name, bench.Decode, decode)
			some = some || first != dash || next != dash
			line = append(line, first+" / "+next)
		}
		if some {
			t.add(line...)
		}
	}
	t.section(b, title)
}

// planTable is the proof, and one line a profile.
func (d *Data) planTable(b *strings.Builder) {
	all := d.planLines()
	if len(all) == 0 {
		return
	}
	under(b, "Shapes and profiles")
	fmt.Fprintf(b, "%s\n\n", or(d.proof(), "The plan has no demand."))
	t := newTable("l", "Profile", "Batch", "New tokens a run", "Past tokens", "Shapes served")
	for _, l := range all {
		t.add(fmt.Sprintf("%d · %s", l.Index, l.Name), l.Batch, l.Seq, l.Past, fmt.Sprint(l.Shapes))
	}
	t.write(b)
}

// builtTable is one line an engine that was built.
func (d *Data) builtTable(b *strings.Builder) {
	t := newTable("lllrrlll", "Engine", "Asked", "Got", "Size", "Build time", "Builder", "Target", "Key")
	for _, e := range d.built() {
		t.add(e.Name, e.Requested, e.Achieved, e.Size, e.Time, e.Builder, e.Target, "`"+e.Key+"`")
	}
	t.section(b, "What was built")
}

// origin is where the figures of each run come from.
func (d *Data) origin(b *strings.Builder) {
	all := d.runFacts()
	if len(all) == 0 {
		return
	}
	under(b, "Where the figures come from")
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
