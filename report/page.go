package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/gate"
)

//go:embed page.html profiles.html calibration.html quantization.html style.css
var assets embed.FS

// page is what the template shows: text and pictures, no decisions.
type page struct {
	Data
	Style     template.CSS
	Headline  string
	Lead      []string
	Tally     []tally
	Glance    []glance
	Accuracy  *picture
	Latency   *picture
	Coverage  *picture
	Proof     string
	Plan      []planLine
	Sizes     *picture
	Built     []built
	Gates     []gateLine
	Missing   []missing
	Facts     []factTable
	Interface []port
	Figures   []figureLine
	Notes     []string
}

// tally is one part of the bar of verdicts.
type tally struct {
	Class, Label string
	N            int
}

// HTML writes the report as one self-contained page.
func HTML(w io.Writer, d Data) error {
	functions := template.FuncMap{"inc": func(i int) int { return i + 1 }}
	t, err := template.New("page.html").Funcs(functions).ParseFS(assets, "page.html")
	if err != nil {
		return fmt.Errorf("reading the report's template: %w", err)
	}
	style, err := assets.ReadFile("style.css")
	if err != nil {
		return fmt.Errorf("reading the report's style: %w", err)
	}
	n := &notes{}
	p := page{Data: d, Style: template.CSS(style), Headline: d.headline(), Lead: d.lead(), Tally: d.tally(), Glance: d.glance(),
		Accuracy: d.accuracy(), Latency: d.latency(), Coverage: d.shapes(), Proof: d.proof(), Plan: d.planLines(),
		Sizes: d.sizes(), Built: d.built(), Gates: d.gateLines(), Missing: d.missing(), Facts: d.factTables(),
		Interface: d.ports(), Figures: d.figureLines(n)}
	p.Notes = append(n.texts, d.doubts()...)
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// doubts are those about the whole run and about single builds.
func (d *Data) doubts() []string {
	all := slices.Clone(d.Warnings)
	for _, e := range d.Engines {
		for _, w := range e.Manifest.Warnings {
			all = append(all, e.Name+": "+w)
		}
	}
	return all
}

// counts are verdicts by status.
func (d *Data) counts() map[gate.Status]int {
	n := map[gate.Status]int{}
	for _, v := range d.Verdicts {
		n[v.Status]++
	}
	return n
}

// headline is the verdict in one line.
func (d *Data) headline() string {
	n := d.counts()
	switch {
	case len(d.Verdicts) == 0:
		return "No gates were set"
	case n[gate.Fail] > 0:
		return fmt.Sprintf("%d of %d gates failed", n[gate.Fail], n[gate.Fail]+n[gate.Pass])
	case n[gate.Pass] == 0:
		return "No gate could be evaluated here"
	case n[gate.NotEvaluated] > 0:
		return fmt.Sprintf("All %d gates that could be evaluated pass", n[gate.Pass])
	}
	return fmt.Sprintf("All %d gates pass", n[gate.Pass])
}

// lead is what happened, in a few sentences.
func (d *Data) lead() []string {
	var lines []string
	var idle, ran int
	for _, e := range d.Engines {
		if e.Idle == "" {
			ran++
		} else {
			idle++
		}
	}
	if ran > 0 {
		lines = append(lines, fmt.Sprintf("%s ran on this machine.", upperFirst(plural(ran, "engine"))))
	}
	if idle > 0 {
		lines = append(lines, fmt.Sprintf("%s built and checked, not run: see what was not evaluated.", upperFirst(plural(idle, "more engine"))+were(idle)))
	}
	if p := d.proof(); p != "" {
		lines = append(lines, p)
	}
	return lines
}

// tally divides the bar of verdicts.
func (d *Data) tally() []tally {
	n := d.counts()
	var all []tally
	for _, t := range []tally{{"pass", "pass", n[gate.Pass]}, {"fail", "fail", n[gate.Fail]}, {"idle", "not evaluated here", n[gate.NotEvaluated]}} {
		if t.N > 0 {
			all = append(all, t)
		}
	}
	return all
}

// proof is what the plan covers, in a sentence; empty without a demand.
func (d *Data) proof() string {
	if d.Plan == nil || len(d.Plan.Demand) == 0 {
		return ""
	}
	n, covered := tallyShapes(d.Plan)
	if covered == n {
		return fmt.Sprintf("All %d distinct shapes of the workload lie inside %s.", n, plural(len(d.Plan.Profiles), "profile"))
	}
	return fmt.Sprintf("%d of %d distinct shapes of the workload lie inside no profile.", n-covered, n)
}

// plural is a number with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func were(n int) string {
	if n == 1 {
		return " was"
	}
	return " were"
}

// upperFirst begins a sentence.
func upperFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
