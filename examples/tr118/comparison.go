package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/stats"
)

// findings is everything that a run came to.
type findings struct {
	study     *study
	published *published
	Command   string
	Created   string
	Took      time.Duration // this run, with what it made
	Machine   *bench.Machine
	Outcomes  []outcome // in the order of the family
	Ours      []coverage
	Leak      error // what calibrating on the evaluated text is answered with
}

// asides are the parts of the report that are the study's own: what was run, the
// figures, the crossover, and the study's losses beside ours.
func (f *findings) asides() ([]report.Aside, error) {
	losses, err := f.losses()
	if err != nil {
		return nil, err
	}
	all := []report.Aside{losses, f.speedups(), f.crossover(), f.parity(), f.proofs(), f.absent(), f.cells(), f.provenance()}
	return slices.DeleteFunc(all, func(a report.Aside) bool { return a.Title == "" }), nil
}

// headline is the run in a sentence.
func (f *findings) headline() string {
	total, failed := f.counts()
	return fmt.Sprintf("%d timed requests, %d failed; the study: %d runs, %d failed. A failed request is told with its class and enters no figure.", total, failed, f.published.Runs.Total, f.published.failed())
}

// verdict is what the page says first.
func (f *findings) verdict() string {
	total, failed := f.counts()
	return fmt.Sprintf("%d of %s requests failed; the study lost %d of %d", failed, thousands(total), f.published.failed(), f.published.Runs.Total)
}

// counts are the requests in all, and those that failed.
func (f *findings) counts() (total, failed int) {
	for _, o := range f.Outcomes {
		total += len(o.Samples)
		for _, s := range o.Samples {
			if s.Failure != nil {
				failed++
			}
		}
	}
	return total, failed
}

// failed is how many runs the study lost.
func (p *published) failed() (n int) {
	for _, d := range p.Runs.Degraded {
		n += d.Count
	}
	return n
}

// speedups is one line a model and mode: how many times as fast as PyTorch each
// engine is, the middle scenario and the two ends. That is a range over scenarios; the
// intervals of each are in the last table.
func (f *findings) speedups() (a report.Aside) {
	engines := f.others()
	if !slices.Contains(f.study.Measure.Engines, "torch") || len(engines) == 0 {
		return a
	}
	a.Title, a.Head = "Times as fast as PyTorch", append([]string{"Model", "Parameters", "Mode"}, engines...)
	a.Text = []string{"Whole requests, ratio of medians: the middle one of the scenarios (the least to the most)."}
	for _, o := range f.Outcomes {
		for _, mode := range f.study.Measure.Modes {
			line := []string{o.Name, fmt.Sprintf("%.2f M", float64(o.Parameters)/1e6), mode}
			for _, e := range engines {
				line = append(line, rangeText(f.ratios(o, e, mode)))
			}
			a.Lines = append(a.Lines, line)
		}
	}
	return a
}

// others are the engines that are set against PyTorch.
func (f *findings) others() []string {
	return slices.DeleteFunc(slices.Clone(f.study.Measure.Engines), func(e string) bool { return e == "torch" })
}

// parity is whether the engines do the same work.
func (f *findings) parity() (a report.Aside) {
	for _, o := range f.Outcomes {
		line := []string{o.Name}
		for _, p := range o.Parity {
			if len(a.Lines) == 0 {
				a.Head = append(a.Head, p.Engine)
			}
			line = append(line, fmt.Sprintf("%d of %d", p.Same, p.Of))
		}
		a.Lines = append(a.Lines, line)
	}
	if len(a.Head) == 0 {
		return report.Aside{}
	}
	a.Title, a.Head = "The same work", append([]string{"Model"}, a.Head...)
	a.Text = []string{"Greedy tokens that are PyTorch's, up to the first of each row that differs."}
	return a
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
func (f *findings) crossover() report.Aside {
	fit := f.published.Crossover.Fit
	a := report.Aside{
		Title: "Crossover, theirs and ours",
		Text: []string{
			"The ratio of an engine's tokens a second to PyTorch's, as a power law of the parameters, and the size at which it is 1: tokens of a whole pass over the scenarios, prompt tokens of prefills and new ones of the rest. The study's is ONNX Runtime on its CPU against PyTorch on its GPU; ours are of one CPU.",
			fmt.Sprintf("The study says k %.3f, equal at %.0f million, 95 %% interval %.0f to %.0f.", fit.K, fit.At, fit.CI[0], fit.CI[1]),
		},
		Head: []string{"Figures", "Mode", "Sizes", "Exponent k", "R²", "Equal at, millions", "Between sizes"},
	}
	if c, err := f.published.crossed(); err == nil {
		a.Lines = append(a.Lines, []string{"the study's, fitted here", modePrefill, fmt.Sprint(c.At.N), fmt.Sprintf("%.3f", c.Law.K.Value), fmt.Sprintf("%.2f", c.Law.R2), summary(c.At, short), ""})
	}
	for _, e := range f.others() {
		for _, mode := range f.study.Measure.Modes {
			c := cross(f.Outcomes, e, mode, f.study.Workload.Scenarios)
			line := []string{e, mode, fmt.Sprint(len(c.Groups))}
			if c.Err != nil {
				line = append(line, "-", "-", c.Err.Error(), "")
			} else {
				line = append(line, summary(c.Fit.Law.K, func(v float64) string { return fmt.Sprintf("%.3f", v) }), fmt.Sprintf("%.2f", c.Fit.Law.R2), millions(c), between(c.Between))
			}
			a.Lines = append(a.Lines, line)
		}
	}
	return a
}

// millions is where a fit crosses. Beyond the sizes that were measured it is a law's
// word alone, and a flat law's means nothing.
func millions(c crossing) string {
	if c.Fit.Beyond {
		return fmt.Sprintf("not between %.3g and %.3g", c.Groups[0].Size, c.Groups[len(c.Groups)-1].Size)
	}
	return summary(c.Fit.At, short)
}

func between(all []stats.Crossing) string {
	if len(all) == 0 {
		return "no crossing"
	}
	var parts []string
	for _, c := range all {
		parts = append(parts, summary(c.At, short))
	}
	return strings.Join(parts, "; ")
}

// cells is every figure: a line a model, scenario and mode, an engine a column.
func (f *findings) cells() report.Aside {
	a := report.Aside{
		Title: "Every request",
		Text:  []string{"Whole requests in ms: median [95 % interval, distribution-free]. A request of mode prefill asks for one token, the others for all of the scenario's. Fewer than six requests have no interval."},
		Head:  append([]string{"Model", "Scenario", "Batch × prompt + new", "Mode", "n"}, f.study.Measure.Engines...),
	}
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
				a.Lines = append(a.Lines, line)
			}
		}
	}
	return a
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
	text := summary(stats.Median(times), short)
	if len(failed) > 0 {
		text += fmt.Sprintf(", %d failed (%s)", len(failed), failed[0].Class)
	}
	return text
}

// summary is a value with its interval.
func summary(s stats.Summary, show func(float64) string) string {
	text := show(s.Value)
	if s.HasInterval() {
		text += fmt.Sprintf(" [%s, %s]", show(s.Lo), show(s.Hi))
	}
	return text
}

// short is a figure to three digits, without an exponent.
func short(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func digits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// provenance is how the figures came about; the machine stands in the report itself.
func (f *findings) provenance() report.Aside {
	m := f.study.Measure
	a := report.Aside{Title: "How it was measured", Head: []string{"What", "How"}, Lines: [][]string{
		{"Command", f.Command},
		{"Order", fmt.Sprintf("%d requests a cell in %d rounds: in each round every engine has one turn at each case, in an order drawn anew (seed %d); warm-up until requests are steady; each engine in a process of its own, the others halted", m.Repetitions, m.Rounds, m.Seed)},
		{"PyTorch", "eager, sdpa, inference_mode, float32, the same threads, logits of the last position only, as the graphs answer"},
		{"Weights", fmt.Sprintf("random, seed %d: speed depends on shapes, accuracy means nothing", f.study.Shape.Seed)},
		{"Text", fmt.Sprintf("prompts from the evaluation text, INT8 calibrated on %d windows of the calibration text, both tokenized by the demo's tokenizer (2,048 of the model's tokens), no overlap", f.study.Text.Samples)},
	}}
	if x := f.Machine; x != nil {
		a.Lines = append(a.Lines, []string{"Machine", fmt.Sprintf("%s, %d cores, %d threads, %.0f GiB, %s, kernel %s, load before the first turn %.2f", x.CPU, x.Cores, x.Threads, float64(x.Memory)/(1<<30), x.OS, x.Kernel, x.Load)})
		for _, name := range slices.Sorted(maps.Keys(x.Versions)) {
			a.Lines = append(a.Lines, []string{name, x.Versions[name]})
		}
	}
	for _, doubt := range f.doubts() {
		a.Lines = append(a.Lines, []string{"Doubt", doubt})
	}
	return a
}

// doubts are what the machine and the warm-ups leave open, each once.
func (f *findings) doubts() (all []string) {
	crowded := map[string]int{}
	for _, o := range f.Outcomes {
		for _, w := range append(slices.Clone(o.Machine.Warnings), o.Warnings...) {
			all = append(all, o.Name+": "+w)
		}
		for _, s := range o.Samples {
			for _, w := range s.Warnings {
				crowded[w]++
			}
		}
	}
	total, _ := f.counts()
	for _, w := range slices.Sorted(maps.Keys(crowded)) {
		all = append(all, fmt.Sprintf("%s (%d of %d requests)", w, crowded[w], total))
	}
	return all
}
