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

//go:embed *.html style.css
var assets embed.FS

// page is what the template shows: text and pictures, no decisions.
type page struct {
	Data
	Style       template.CSS
	Eyebrow     string
	Headline    string
	Lead        []string
	Tally       []tally
	Contents    []heading
	Overall     []choiceLine // where there are several deployments
	Deploy      []deployment
	Matrix      *matrixTable
	Glance      []glance
	GlanceIdle  []glance // those that were not run, where they are too many to stand among the others
	Failing     []gateLine
	Passing     []gateLine
	Folded      bool // the gates that pass are too many to stand open
	GateNotes   []string
	Missing     []missing
	Parts       []part
	Crossover   *picture
	Crossings   []string
	Failures    []failureLine
	Coverage    *picture
	Proof       string
	Plan        []planLine
	Calibration *calibrated
	Quantized   []quantized
	Sizes       *picture
	Built       []built
	Runs        []runFacts
	Interface   []port
	Figures     []figureLine
	Notes       []string
	ManyRuns    bool
	// What some part has.
	HasAccuracy, HasLatency, HasThroughput bool
}

// heading is a section of the page, for its list of contents.
type heading struct{ ID, Title string }

// tally is one part of the bar of verdicts.
type tally struct {
	Class, Label string
	N            int
}

// HTML writes the report as one self-contained page.
func HTML(w io.Writer, d Data) error {
	functions := template.FuncMap{"inc": func(i int) int { return i + 1 }}
	t, err := template.New("page.html").Funcs(functions).ParseFS(assets, "page.html", "deploy.html", "asides.html", "evidence.html", "origin.html")
	if err != nil {
		return fmt.Errorf("reading the report's template: %w", err)
	}
	style, err := assets.ReadFile("style.css")
	if err != nil {
		return fmt.Errorf("reading the report's style: %w", err)
	}
	p := d.page()
	p.Style = template.CSS(style)
	if err := t.Execute(w, p); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// mostOpen is how many gates that pass are read without being asked for.
const mostOpen = 12

// mostGlance is how many engines the table of all engines may have.
const mostGlance = 16

// page makes all parts of the page.
func (d *Data) page() page {
	n := &notes{}
	p := page{Data: *d, Eyebrow: d.eyebrow(), Headline: d.headline(), Tally: d.tally(),
		Overall: d.overallLines(), Deploy: d.deployments(), Matrix: d.matrixTable(), Glance: d.glance(), Failing: d.gateLines(gate.Fail), Passing: d.gateLines(gate.Pass), GateNotes: d.gateNotes(), Missing: d.missing(),
		Parts: d.parts(), Failures: d.failures(),
		Coverage: d.shapes(), Proof: d.proof(), Plan: d.planLines(),
		Calibration: d.calibrated(), Quantized: d.quantized(), Sizes: d.sizes(), Built: d.built(),
		Runs: d.runFacts(), Interface: d.ports(), Figures: d.figureLines(n), ManyRuns: len(d.Runs) > 1}
	p.HasAccuracy = some(p.Parts, func(o part) bool { return o.Accuracy != nil || o.Positions != nil })
	p.HasLatency = some(p.Parts, func(o part) bool { return o.Latency != nil || o.Modes != nil })
	p.HasThroughput = some(p.Parts, func(o part) bool { return o.Throughput != nil || o.Depth != nil })
	if len(p.Glance) > mostGlance {
		idle := func(g glance) bool { return g.VerdictClass == "idle" && g.Speed == dash && g.Perplexity == dash }
		for _, g := range p.Glance {
			if idle(g) {
				p.GlanceIdle = append(p.GlanceIdle, g)
			}
		}
		p.Glance = slices.DeleteFunc(p.Glance, idle)
	}
	p.Folded = len(p.Passing) > mostOpen
	p.Crossover, p.Crossings = d.crossover()
	p.Lead = d.lead(p.Crossings)
	p.Notes = append(n.texts(), d.doubts()...)
	for _, s := range []struct {
		id, title string
		there     bool
	}{
		{"deploy", "What to deploy", p.Deploy != nil || p.Matrix != nil}, {"crossover", "Crossover", p.Crossover != nil}, {"engines", "Engines", p.Glance != nil}, {"gates", "Gates", p.Failing != nil || p.Passing != nil},
		{"missing", "Not evaluated", p.Missing != nil}, {"failures", "Failures", p.Failures != nil},
		{"accuracy", "Accuracy", p.HasAccuracy}, {"latency", "Latency", p.HasLatency},
		{"throughput", "Throughput", p.HasThroughput},
		{"shapes", "Shapes", p.Coverage != nil || p.Plan != nil}, {"calibration", "Calibration", p.Calibration != nil},
		{"quantization", "Quantization", p.Quantized != nil}, {"builds", "Builds", p.Built != nil},
		{"provenance", "Provenance", p.Runs != nil || p.Interface != nil}, {"figures", "All figures", p.Figures != nil}, {"notes", "Notes", p.Notes != nil},
	} {
		if s.there {
			p.Contents = append(p.Contents, heading{s.id, s.title})
		}
		if s.id == "crossover" { // the last of what stands before the evidence
			for _, a := range d.Asides {
				p.Contents = append(p.Contents, heading{a.ID(), a.Title})
			}
		}
	}
	return p
}

// eyebrow is what stands above the headline.
func (d *Data) eyebrow() string {
	var parts []string
	switch models := d.models(); {
	case len(models) > 1:
		parts = append(parts, fmt.Sprintf("%d models", len(models)))
	case len(models) == 1:
		if m := models[0]; m.Name != d.Title && m.Name != "" {
			parts = append(parts, m.Name)
		}
		if n := models[0].Parameters; n > 0 {
			parts = append(parts, large(n)+" parameters")
		}
	}
	if d.Created != "" {
		parts = append(parts, d.Created)
	}
	return strings.Join(parts, " · ")
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
