package format

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
)

// Line is what a table says of an engine in a scenario and mode, in words.
type Line struct {
	Engine, Scenario            string // the scenario with its mode, where that is not cached
	TTFT, TPOT, Prefill, Decode string // medians with half their interval
	E2E, Memory, Overhead       string
	Requests                    string // how many succeeded, of how many
	Notes                       []int  // numbers of footnotes
}

// Table is rows as people read them. Footnotes are the doubts, each once.
func Table(all []rows.Row) (lines []Line, notes []string) {
	note := func(text string) int {
		i := slices.Index(notes, text)
		if i < 0 {
			notes = append(notes, text)
			i = len(notes) - 1
		}
		return i + 1
	}
	type key struct{ engine, scenario, mode string }
	at := map[key]int{}
	for _, r := range all {
		if r.Scenario == "" {
			continue
		}
		k := key{r.Engine, r.Scenario, mode(r.Phase)}
		if _, known := at[k]; !known {
			at[k] = len(lines)
			name := r.Scenario
			if k.mode != "" {
				name += " " + k.mode
			}
			lines = append(lines, Line{Engine: r.Engine, Scenario: name, TTFT: "-", TPOT: "-", Prefill: "-", Decode: "-", E2E: "-", Memory: "-", Overhead: "-"})
		}
		l := &lines[at[k]]
		l.put(r)
		// Quantiles far out have few samples by nature; what is shown is doubted.
		if shown[r.Name] {
			for _, w := range r.Warnings {
				if strings.HasPrefix(w, "samples vary") {
					continue // the interval beside the figure says it
				}
				if n := note(w); !slices.Contains(l.Notes, n) {
					l.Notes = append(l.Notes, n)
				}
			}
		}
	}
	for i := range lines {
		slices.Sort(lines[i].Notes)
	}
	return lines, notes
}

// shown are the rows that a table has.
var shown = map[string]bool{bench.TTFT: true, bench.TPOT: true, bench.E2E: true, bench.Failed: true}

// mode is the mode of a row by its phase; "" is cached.
func mode(phase string) string {
	if phase == string(bench.Uncached) || phase == string(bench.Chunked) {
		return phase
	}
	return ""
}

func (l *Line) put(r rows.Row) {
	switch r.Name {
	case bench.TTFT:
		l.TTFT = interval(r)
	case bench.TPOT:
		l.TPOT = interval(r)
	case bench.E2E:
		l.E2E = interval(r)
	case bench.PrefillRate:
		l.Prefill = figure(r.Value)
	case bench.DecodeRate:
		l.Decode = figure(r.Value)
	case bench.PeakRSS:
		l.Memory = fmt.Sprintf("%.0f MiB", r.Value/(1<<20))
	case bench.Overhead:
		l.Overhead = fmt.Sprintf("%.1f %%", 100*r.Value)
	case bench.Failed:
		l.Requests = fmt.Sprint(r.N)
		if r.Value > 0 {
			l.Requests = fmt.Sprintf("%d of %d", r.N-int(r.Value), r.N)
		}
	}
}

// interval is a median with the larger distance of an end of its interval from it,
// as a share: "6.25 ±2%".
func interval(r rows.Row) string {
	text := figure(r.Value)
	half := math.Max(r.Hi-r.Value, r.Value-r.Lo)
	if math.IsInf(half, 0) || math.IsNaN(half) || r.Value == 0 {
		return text + " ±∞"
	}
	return fmt.Sprintf("%s ±%.0f%%", text, 100*half/r.Value)
}

// figure is a number of three digits.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100 || a == 0:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Header names the columns of a table.
var Header = []string{"engine", "scenario", "TTFT ms", "TPOT ms", "prefill tok/s", "decode tok/s", "request ms", "peak memory", "loop", "requests"}

// Cells are a line's, in the order of Header, with the marks of its footnotes.
func (l Line) Cells() []string {
	requests := l.Requests
	for i, n := range l.Notes {
		if i == 0 {
			requests += " "
		} else {
			requests += ","
		}
		requests += fmt.Sprintf("[%d]", n)
	}
	return []string{l.Engine, l.Scenario, l.TTFT, l.TPOT, l.Prefill, l.Decode, l.E2E, l.Memory, l.Overhead, requests}
}

// Markdown writes the table that people read, with footnotes and the machine.
func Markdown(w io.Writer, r Run) error {
	lines, notes := Table(r.Rows)
	var b strings.Builder
	put := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			b.WriteString(" " + strings.ReplaceAll(oneLine(c), "|", `\|`) + " |")
		}
		b.WriteString("\n")
	}
	put(Header)
	b.WriteString("|---|---|" + strings.Repeat("---:|", len(Header)-2) + "\n")
	for _, l := range lines {
		put(l.Cells())
	}
	b.WriteString("\nMedians, ± the farther end of the 95 % interval. loop: share of the request outside the engine's runs.\n")
	for i, n := range notes {
		fmt.Fprintf(&b, "\n[%d] %s\n", i+1, oneLine(n))
	}
	for _, n := range slices.Concat(r.Machine.Warnings, r.Warnings) {
		fmt.Fprintf(&b, "\n%s\n", oneLine(n))
	}
	fmt.Fprintf(&b, "\n%s\n", Describe(r.Machine))
	_, err := io.WriteString(w, b.String())
	return err
}

// Describe is the machine in a line.
func Describe(m bench.Machine) string {
	text := fmt.Sprintf("%s, %d CPUs, %d threads", m.CPU, m.Cores, m.Threads)
	if m.GPU != "" {
		text += ", " + m.GPU + " (driver " + m.Driver + ")"
	}
	if m.Virtual != "" {
		text += ", virtual: " + m.Virtual
	}
	return text
}
