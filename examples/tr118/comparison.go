package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/stats"
)

// findings is everything that a run came to.
type findings struct {
	study     *study
	published *published
	Command   string
	Machine   *bench.Machine
	Outcomes  []outcome // in the order of the family
	Ours      []coverage
	Leak      error // what calibrating on the evaluated text is answered with
	Warnings  []string
}

// markdown writes the comparison: what was run, the figures, the crossover, what was
// not evaluated, and the study's losses beside ours.
func (f *findings) markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# TR118 again: %d models, %d scenarios, %s\n\n", len(f.Outcomes), len(f.study.Workload.Scenarios), strings.Join(f.study.Measure.Modes, ", "))
	f.runs(&b)
	f.speedups(&b)
	f.parity(&b)
	f.crossover(&b)
	if err := f.losses(&b); err != nil {
		return err
	}
	f.proofs(&b)
	f.absent(&b)
	f.cells(&b)
	f.provenance(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// counts are the requests in all and those that failed, by class.
func (f *findings) counts() (total int, failed map[bench.Class]int) {
	failed = map[bench.Class]int{}
	for _, o := range f.Outcomes {
		total += len(o.Samples)
		for _, s := range o.Samples {
			if s.Failure != nil {
				failed[s.Failure.Class]++
			}
		}
	}
	return total, failed
}

func (f *findings) runs(b *strings.Builder) {
	total, failed := f.counts()
	lost := 0
	for _, n := range failed {
		lost += n
	}
	fmt.Fprintf(b, "%d timed requests, %d failed; the study: %d runs, %d failed. A failed request is a line of the table of losses below and enters no figure.\n\n", total, lost, f.published.Runs.Total, f.published.failed())
}

func (p *published) failed() (n int) {
	for _, d := range p.Runs.Degraded {
		n += d.Count
	}
	return n
}

// speedups is one line a model and mode: how many times as fast as PyTorch each
// engine is, the middle scenario and the two ends. That is a range over scenarios; the
// intervals of each are in the last table.
func (f *findings) speedups(b *strings.Builder) {
	engines := slices.DeleteFunc(slices.Clone(f.study.Measure.Engines), func(e string) bool { return e == "torch" })
	if !slices.Contains(f.study.Measure.Engines, "torch") || len(engines) == 0 {
		return
	}
	b.WriteString("## Times as fast as PyTorch\n\nWhole requests, ratio of medians: the middle one of the scenarios (the least to the most).\n\n")
	t := table{head: append([]string{"Model", "Parameters", "Mode"}, engines...)}
	for _, o := range f.Outcomes {
		for _, mode := range f.study.Measure.Modes {
			line := []string{o.Name, fmt.Sprintf("%.2f M", float64(o.Parameters)/1e6), mode}
			for _, e := range engines {
				line = append(line, rangeText(f.ratios(o, e, mode)))
			}
			t.lines = append(t.lines, line)
		}
	}
	t.write(b)
}

// parity is whether the engines do the same work.
func (f *findings) parity(b *strings.Builder) {
	t := table{head: []string{"Model"}}
	for _, o := range f.Outcomes {
		line := []string{o.Name}
		for _, p := range o.Parity {
			if len(t.lines) == 0 {
				t.head = append(t.head, p.Engine)
			}
			line = append(line, fmt.Sprintf("%d of %d", p.Same, p.Of))
		}
		t.lines = append(t.lines, line)
	}
	if len(t.head) > 1 {
		b.WriteString("Greedy tokens that are PyTorch's, up to the first of each row that differs:\n\n")
		t.write(b)
	}
}

// ratios are PyTorch's median over the engine's, a scenario each.
func (f *findings) ratios(o outcome, e, mode string) (all []float64) {
	for _, s := range f.study.Workload.Scenarios {
		a, b := o.times(cell{"torch", s.Name, mode}), o.times(cell{e, s.Name, mode})
		if len(a) > 0 && len(b) > 0 {
			all = append(all, stats.RatioOfMedians(a, b, 1).Value)
		}
	}
	return all
}

func rangeText(v []float64) string {
	if len(v) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (%s to %s)", digits(stats.Median(v).Value), digits(slices.Min(v)), digits(slices.Max(v)))
}

// crossover is the study's fit beside ours.
func (f *findings) crossover(b *strings.Builder) {
	b.WriteString("## Crossover\n\nThe ratio of an engine's tokens a second to PyTorch's, as a power law of the parameters, and the size at which it is 1; tokens of a whole pass over the scenarios, prompt tokens of prefills and new ones of the rest. The study's is ONNX Runtime on its CPU against PyTorch on its GPU; ours are of one CPU.\n\n")
	t := table{head: []string{"Figures", "Mode", "Sizes", "Exponent k", "R²", "Equal at, millions", "Between sizes"}}
	if c, err := f.published.crossed(); err == nil {
		t.lines = append(t.lines, []string{"the study's, fitted here", modePrefill, fmt.Sprint(c.At.N), fmt.Sprintf("%.3f", c.Law.K.Value), fmt.Sprintf("%.2f", c.Law.R2), summary(c.At, "%.3g"), ""})
	}
	for _, e := range f.study.Measure.Engines {
		for _, mode := range f.study.Measure.Modes {
			if e == "torch" {
				continue
			}
			c := cross(f.Outcomes, e, mode, f.study.Workload.Scenarios)
			line := []string{e, mode, fmt.Sprint(len(c.Groups))}
			if c.Err != nil {
				line = append(line, "-", "-", c.Err.Error(), "")
			} else {
				line = append(line, summary(c.Fit.Law.K, "%.3f"), fmt.Sprintf("%.2f", c.Fit.Law.R2), millions(c), between(c.Between))
			}
			t.lines = append(t.lines, line)
		}
	}
	t.write(b)
	fit := f.published.Crossover.Fit
	fmt.Fprintf(b, "The study says k %.3f, equal at %.0f million, 95 %% interval %.0f to %.0f.\n\n", fit.K, fit.At, fit.CI[0], fit.CI[1])
}

// millions is where a fit crosses. Beyond the sizes that were measured it is a law's
// word alone, and a flat law's means nothing.
func millions(c crossing) string {
	if c.Fit.Beyond {
		return fmt.Sprintf("not between %.3g and %.3g", c.Groups[0].Size, c.Groups[len(c.Groups)-1].Size)
	}
	return summary(c.Fit.At, "%.3g")
}

func between(all []stats.Crossing) string {
	if len(all) == 0 {
		return "no crossing"
	}
	var parts []string
	for _, c := range all {
		parts = append(parts, summary(c.At, "%.3g"))
	}
	return strings.Join(parts, "; ")
}

// cells is every figure: a line a model, scenario and mode, an engine a column.
func (f *findings) cells(b *strings.Builder) {
	b.WriteString("## Every figure\n\nWhole requests in ms: median [95 % interval, distribution-free]. A request of mode prefill asks for one token, the others for all of the scenario's. Fewer than six requests have no interval.\n\n")
	t := table{head: append([]string{"Model", "Scenario", "Batch × prompt + new", "Mode", "n"}, f.study.Measure.Engines...)}
	for _, o := range f.Outcomes {
		for _, s := range f.study.Workload.Scenarios {
			for _, mode := range f.study.Measure.Modes {
				fresh := s.NewTokens
				if mode == modePrefill {
					fresh = 1
				}
				line := []string{o.Name, s.Name, fmt.Sprintf("%d × %d + %d", s.Batch, s.PromptTokens, fresh), mode, f.count(o, s.Name, mode)}
				for _, e := range f.study.Measure.Engines {
					line = append(line, o.text(cell{e, s.Name, mode}))
				}
				t.lines = append(t.lines, line)
			}
		}
	}
	t.write(b)
}

// count is how many requests stand behind the cells of a line.
func (f *findings) count(o outcome, scenario, mode string) string {
	least, most := math.MaxInt, 0
	for _, e := range f.study.Measure.Engines {
		n := len(o.times(cell{e, scenario, mode}))
		least, most = min(least, n), max(most, n)
	}
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// text is a cell: its median, or why it has none.
func (o outcome) text(c cell) string {
	failed := o.failures(c)
	times := o.times(c)
	switch {
	case len(times) == 0 && len(failed) == 0:
		return "not run"
	case len(times) == 0:
		return fmt.Sprintf("failed (%s)", failed[0].Class)
	}
	text := summary(stats.Median(times), "%.3g")
	if len(failed) > 0 {
		text += fmt.Sprintf(", %d failed (%s)", len(failed), failed[0].Class)
	}
	return text
}

// summary is a value with its interval.
func summary(s stats.Summary, format string) string {
	text := fmt.Sprintf(format, s.Value)
	if s.HasInterval() {
		text += fmt.Sprintf(" ["+format+", "+format+"]", s.Lo, s.Hi)
	}
	return text
}

func digits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// provenance is where every figure comes from.
func (f *findings) provenance(b *strings.Builder) {
	m := f.study.Measure
	b.WriteString("## Where the figures come from\n\n")
	lines := []string{
		"Command: `" + f.Command + "`",
		fmt.Sprintf("%d requests a cell in %d rounds, seed %d: in each round every engine has one turn at each case, in an order drawn anew; warm-up until requests are steady, each engine in a process of its own, the others stopped", m.Repetitions, m.Rounds, m.Seed),
		"PyTorch: eager, sdpa, inference_mode, float32, the same threads, logits of the last position only, as the graphs answer",
		fmt.Sprintf("Weights: random, seed %d. Prompts: tokens of the evaluation text; calibration: %d windows of the calibration text, both by the demo's tokenizer, no overlap", f.study.Shape.Seed, f.study.Text.Samples),
	}
	if x := f.Machine; x != nil {
		lines = append(lines, fmt.Sprintf("Machine: %s, %d cores, %d threads, %.0f GiB, %s, kernel %s, load before the first turn %.2f", x.CPU, x.Cores, x.Threads, float64(x.Memory)/(1<<30), x.OS, x.Kernel, x.Load))
		for _, name := range sortedKeys(x.Versions) {
			lines = append(lines, name+" "+x.Versions[name])
		}
		for _, doubt := range x.Warnings {
			lines = append(lines, "Doubt: "+doubt)
		}
	}
	for _, doubt := range f.Warnings {
		lines = append(lines, "Doubt: "+doubt)
	}
	for _, l := range lines {
		b.WriteString("- " + l + "\n")
	}
	b.WriteString("\n")
}
