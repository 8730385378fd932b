package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

// text prints the result for people.
func (v *validated) text(w io.Writer) error {
	for i, line := range v.about() {
		_, _ = fmt.Fprintf(w, "%-12s%s\n", []string{"reference", "convention"}[i], line)
	}
	for i, t := range v.grids() {
		_, _ = fmt.Fprintln(w)
		if err := t.text(w); err != nil {
			return err
		}
		_, _ = io.WriteString(w, legends[i])
	}
	_, err := io.WriteString(w, v.remarks()+v.judged())
	return err
}

// markdown is the same for the summary of a GitHub step.
func (v *validated) markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "### trtforge validate\n\n%s\n", strings.Join(v.about(), "; "))
	for i, t := range v.grids() {
		b.WriteString("\n" + t.markdown() + "\n" + legends[i])
	}
	fmt.Fprintf(&b, "\n```\n%s\n```\n", strings.Trim(v.remarks()+v.judged(), "\n"))
	_, err := io.WriteString(w, b.String())
	return err
}

// legends say what the columns of the tables are, in the help too.
var legends = []string{`ratio: perplexity over PyTorch FP32's. KL: divergence of the engine's next-token
distribution from PyTorch FP32's in nats a token: mean, 99 % and 99.9 % quantile, largest.
`, `top-1, top-5: share of positions whose most likely token is PyTorch's, or among its five.
Δp: change of the probability of the text's own token, mean and root mean square, in
percentage points. logits: errors of logits, 99.9 % of positions and largest. greedy:
tokens until generated text differs from PyTorch's, median. batch, padding: largest
change of a row's logits by rows beside it, and by padding on its left.
`}

// indented is text as help shows it.
func indented(texts ...string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.Join(texts, "")) {
		b.WriteString("  " + line)
	}
	return b.String()
}

// about is the reference, and the convention.
func (v *validated) about() []string {
	b := v.Reference
	windows := fmt.Sprintf("%d windows", b.Windows)
	if v.Windows > 0 {
		windows = fmt.Sprintf("the first %d of %d windows", v.Windows, b.Windows)
	}
	return []string{
		fmt.Sprintf("PyTorch FP32, perplexity %.4f (%s)", b.Perplexity, v.Source),
		fmt.Sprintf("%s, %s, text sha256 %.12s", b.Convention, windows, b.Digests.IDs),
	}
}

// grids are the tables: how much is lost, and where it shows.
func (v *validated) grids() []grid {
	loss := grid{head: []string{"engine", "path", "perplexity", "95 % interval", "ratio", "95 % interval", "KL nats", "p99", "p99.9", "max"}}
	signs := grid{head: []string{"engine", "path", "top-1", "95 % interval", "top-5", "95 % interval", "Δp %", "RMS %", "logits p99.9", "max", "greedy", "batch", "padding"}}
	for _, name := range v.names() {
		for _, phase := range []string{"prefill", "decode"} {
			l := figures{all: v.rows, engine: name, phase: phase}
			if !l.any() {
				continue
			}
			// The reference's own K stands in the names of what a bundle gives.
			kl := func(stat string) string {
				text := l.value("%.2e", 1, validate.KLName(0, stat), validate.KLName(v.Reference.TopK, stat))
				if strings.HasPrefix(text, "-") && len(text) > 1 { // rounding: KL is never negative
					return "0"
				}
				return text
			}
			loss.add(name, phase, l.value("%.4f", 1, validate.Perplexity), l.interval("%.4f", validate.Perplexity),
				l.value("%.5f", 1, validate.PPLRatio), l.interval("%.5f", validate.PPLRatio), kl("mean"), kl("p99"), kl("p999"), kl("max"))
			signs.add(name, phase, l.value("%.4f", 1, validate.Top1Agreement), l.interval("%.4f", validate.Top1Agreement),
				l.value("%.4f", 1, validate.Top5Agreement), l.interval("%.4f", validate.Top5Agreement),
				l.value("%+.4f", 100, validate.DProbMean), l.value("%.4f", 100, validate.DProbRMS),
				l.value("%.2e", 1, validate.LogitP999), l.value("%.2e", 1, validate.LogitMax),
				l.value("%.4g", 1, validate.GreedyMatch), l.value("%.1e", 1, validate.BatchDelta), l.value("%.1e", 1, validate.PaddingDelta))
		}
	}
	return []grid{loss, signs}
}

// names are the engines that were run, and the noise that they are read against.
func (v *validated) names() []string {
	var all []string
	for _, e := range v.Engines {
		all = append(all, e.Name)
	}
	return append(all, task.NoiseBF16, task.NoiseORT)
}

// figures are those of an engine on one path.
type figures struct {
	all           []rows.Row
	engine, phase string
}

func (f figures) any() bool {
	return slices.ContainsFunc(f.all, func(r rows.Row) bool { return r.Engine == f.engine && r.Phase == f.phase })
}

// value is the first row of these names, times a factor.
func (f figures) value(form string, factor float64, names ...string) string {
	for _, n := range names {
		if r, ok := rows.Find(f.all, f.engine, "", f.phase, n); ok {
			return fmt.Sprintf(form, r.Value*factor)
		}
	}
	return "-"
}

func (f figures) interval(form, name string) string {
	r, ok := rows.Find(f.all, f.engine, "", f.phase, name)
	if !ok || math.IsInf(r.Lo, 0) || math.IsInf(r.Hi, 0) {
		return "-"
	}
	return fmt.Sprintf(form+"-"+form, r.Lo, r.Hi)
}

// remarks are what the tables cannot hold: who was not run, and what tensors show.
func (v *validated) remarks() string {
	var b strings.Builder
	for _, e := range v.Engines {
		if e.Idle != "" {
			fmt.Fprintf(&b, "\n%s was not run: %s\n", e.Name, e.Idle)
		}
		if e.Calibrated != "" {
			fmt.Fprintf(&b, "\n%s's ranges come from token ids of sha256 %.12s, another text\n", e.Name, e.Calibrated)
		}
	}
	for _, doubt := range v.doubts() {
		fmt.Fprintf(&b, "\n%s\n", doubt)
	}
	for _, t := range v.Tensors {
		fmt.Fprintf(&b, "\n%s, tensors against FP32, the most suspicious first:\n", t.Engine)
		for _, e := range t.Ranked[:min(5, len(t.Ranked))] {
			mark := "       "
			if e.Suspicion >= validate.Suspect {
				mark = "SUSPECT"
			}
			fmt.Fprintf(&b, "%s %5.1f dB  error %.4f  %s\n", mark, e.Suspicion, e.Error, strings.Join(strings.Fields(e.Tensor+" "+e.Weight+" "+e.Says), " "))
		}
	}
	return b.String()
}

// doubts are the warnings of the engines' rows, each once with the engines that it is
// about.
func (v *validated) doubts() (all []string) {
	about := map[string][]string{}
	for _, r := range v.rows {
		for _, w := range r.Warnings {
			if about[w] == nil {
				all = append(all, w)
			}
			if !slices.Contains(about[w], r.Engine) {
				about[w] = append(about[w], r.Engine)
			}
		}
	}
	for i, w := range all {
		all[i] = strings.Join(about[w], ", ") + ": " + w
	}
	return all
}

// judged are the verdicts, a line each, with what they rest on.
func (v *validated) judged() string {
	var b strings.Builder
	b.WriteByte('\n')
	count := map[gate.Status]int{}
	for _, one := range v.Verdicts {
		count[one.Status]++
		word, why := string(one.Status), one.Evidence
		switch {
		case one.Status == gate.NotEvaluated:
			word, why = "not evaluated", one.Reason
		case one.Status == gate.Fail && !slices.Contains(gate.Names(), one.Gate):
			word = "BROKEN"
		case one.Status == gate.Fail:
			word = "FAIL"
		}
		fmt.Fprintf(&b, "%-13s  %s: %s\n", word, strings.Join(strings.Fields(one.Engine+" "+one.Phase+" "+one.Gate), " "), why)
	}
	fmt.Fprintf(&b, "gates: %d passed, %d failed, %d not evaluated\n", count[gate.Pass], count[gate.Fail], count[gate.NotEvaluated])
	return b.String()
}

// grid is a table.
type grid struct {
	head  []string
	lines [][]string
}

func (t *grid) add(cells ...string) { t.lines = append(t.lines, cells) }

func (t *grid) text(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range append([][]string{t.head}, t.lines...) {
		_, _ = fmt.Fprintln(out, strings.Join(line, "\t")+"\t")
	}
	return out.Flush()
}

func (t *grid) markdown() string {
	var b strings.Builder
	row := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	row(t.head)
	row(slices.Repeat([]string{"---:"}, len(t.head)))
	for _, line := range t.lines {
		row(line)
	}
	return b.String()
}
