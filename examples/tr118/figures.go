package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/stats"
)

// figuresFile is the run in a dozen lines, for a README.
const figuresFile = "figures.md"

// figures writes the run in short: what was run where and for how long, and how many
// times as fast as PyTorch each engine is by size and mode.
func (f *findings) figures(w io.Writer) error {
	total, failed := f.counts()
	where := ""
	if m := f.Machine; m != nil {
		where = fmt.Sprintf("%s, %d threads: ", cmp.Or(m.CPU, "a CPU"), m.Threads)
	}
	_, err := fmt.Fprintf(w, "`%s` (%s). %s%s timed requests, %d failed, %s%s.\n",
		f.Command, f.Created, where, thousands(total), failed, minutes(f.Took), f.before())
	if err == nil && f.speedups().Title != "" { // PyTorch is among the engines
		_, err = fmt.Fprint(w, "\n#"+strings.TrimRight(f.brief().Markdown(), "\n")+"\n")
	}
	return err
}

// before tells of requests that an earlier run had measured.
func (f *findings) before() string {
	n := 0
	for _, o := range f.Outcomes {
		n += o.Resumed
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s of them measured before)", thousands(n))
}

// brief is a line a model, a mode a column: the middle scenario of each engine.
func (f *findings) brief() report.Aside {
	var names []string
	for _, e := range f.others() {
		names = append(names, strings.TrimPrefix(e, "ortcpu-"))
	}
	a := report.Aside{
		Title: "Times as fast as PyTorch: " + strings.Join(names, " / "),
		Text:  []string{fmt.Sprintf("Whole requests, the middle one of %d scenarios; below, the size in millions at which a power law makes both equal, a dash where it is none of those measured.", len(f.study.Workload.Scenarios))},
		Head:  append([]string{"Model"}, f.study.Measure.Modes...),
	}
	add := func(name string, cell func(engine, mode string) string) {
		line := []string{name}
		for _, mode := range f.study.Measure.Modes {
			var all []string
			for _, e := range f.others() {
				all = append(all, cell(e, mode))
			}
			line = append(line, strings.Join(all, " / "))
		}
		a.Lines = append(a.Lines, line)
	}
	for _, o := range f.Outcomes {
		add(o.Name, func(e, mode string) string {
			if all := f.ratios(o, e, mode); len(all) > 0 {
				return digits(stats.Median(all).Value)
			}
			return "–"
		})
	}
	add("equal at", func(e, mode string) string {
		c := cross(f.Outcomes, e, mode, f.study.Workload.Scenarios)
		if c.Err != nil || c.Fit.Beyond {
			return "–"
		}
		return fmt.Sprintf("%.3g", c.Fit.At.Value)
	})
	return a
}

func minutes(d time.Duration) string {
	if d < 2*time.Minute {
		return fmt.Sprintf("%.0f seconds", d.Seconds())
	}
	return fmt.Sprintf("%.1f minutes", d.Minutes())
}

// thousands is a count with commas.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
