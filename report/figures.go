package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// The widths at which each picture is drawn: one for a desktop's column, one
// for a phone. The page shows whichever fits.
const (
	wide   = 1040.0
	narrow = 340.0
)

// picture is a figure in both widths with its caption.
type picture struct {
	Wide    template.HTML
	Narrow  []template.HTML // panels below one another
	Caption string
}

// picture draws a dot plot in both widths.
func (d dots) picture(caption string) *picture {
	p := &picture{Caption: caption}
	w := d
	w.id += "-w"
	p.Wide = template.HTML(w.draw(wide))
	for i, one := range d.panels {
		n := dots{id: fmt.Sprintf("%s-n%d", d.id, i), title: d.title + ": " + one.title, desc: d.desc, panels: d.panels[i : i+1]}
		for _, g := range d.groups {
			g.lines = slices.Clone(g.lines)
			for j := range g.lines {
				g.lines[j].marks = g.lines[j].marks[i : i+1]
			}
			n.groups = append(n.groups, g)
		}
		p.Narrow = append(p.Narrow, template.HTML(n.draw(narrow)))
	}
	return p
}

// class colours an engine by its precision.
func class(precision string) string {
	switch precision {
	case "fp32", "fp16", "int8":
		return precision
	}
	return "other"
}

// measured are the engines that have a row of that name.
func (d *Data) measured(name string) []Engine {
	var some []Engine
	for _, e := range d.Engines {
		if slices.ContainsFunc(d.Rows, func(r rows.Row) bool { return r.Engine == e.Name && r.Name == name }) {
			some = append(some, e)
		}
	}
	return some
}

// labels names engines as briefly as is clear: by precision where all are of
// one backend.
func labels(engines []Engine) map[string]string {
	names, seen := map[string]string{}, map[string]bool{}
	brief := true
	for _, e := range engines {
		p := string(e.Manifest.Precision)
		brief = brief && p != "" && !seen[p] && e.Manifest.Backend == engines[0].Manifest.Backend
		seen[p] = true
	}
	for _, e := range engines {
		names[e.Name] = e.Name
		if brief {
			names[e.Name] = strings.ToUpper(string(e.Manifest.Precision))
		}
	}
	return names
}

// scenarios are those of the workload, or what the rows name.
func (d *Data) scenarios() []profiles.Scenario {
	if len(d.Scenarios) > 0 {
		return d.Scenarios
	}
	var all []profiles.Scenario
	seen := map[string]bool{"": true}
	for _, r := range d.Rows {
		if !seen[r.Scenario] {
			seen[r.Scenario] = true
			all = append(all, profiles.Scenario{Name: r.Scenario})
		}
	}
	return all
}

// latency shows time to first token and time per output token of cached runs,
// scenario by scenario. Nil where nothing was timed.
func (d *Data) latency() *picture { return d.latencyOf("latency", bench.Prefill, bench.Decode) }

// modes are the same of the other modes that were measured.
func (d *Data) modes() []modePicture {
	var all []modePicture
	for _, m := range []struct {
		mode         bench.Mode
		title, about string
	}{
		{bench.Uncached, "Without a cache", "The whole sequence runs again for each token."},
		{bench.Chunked, "With the prompt in pieces", "The prompt comes in chunks, each after the cache of those before it."},
	} {
		if p := d.latencyOf("latency-"+string(m.mode), string(m.mode), string(m.mode)); p != nil {
			all = append(all, modePicture{m.title, m.about, p})
		}
	}
	return all
}

// modePicture is the latency of one mode.
type modePicture struct {
	Title, About string
	Picture      *picture
}

// latencyOf draws the rows of the phases that a mode has.
func (d *Data) latencyOf(id, first, further string) *picture {
	engines := slices.DeleteFunc(d.measured(bench.TTFT), func(e Engine) bool {
		return !slices.ContainsFunc(d.Rows, func(r rows.Row) bool { return r.Engine == e.Name && r.Name == bench.TTFT && r.Phase == first })
	})
	if len(engines) == 0 {
		return nil
	}
	names := labels(engines)
	plot := dots{id: d.prefix + id, title: "Latency by scenario",
		desc: "Median time to first token and time per output token of each engine in each scenario, with 95 % intervals; the table of all figures has the numbers.",
		panels: []panel{{title: "Time to first token, ms", fine: true, format: trim},
			{title: "Time per output token, ms", fine: true, format: trim}}}
	for _, s := range d.scenarios() {
		if !slices.ContainsFunc(d.Rows, func(r rows.Row) bool {
			return r.Scenario == s.Name && (r.Phase == first || first == bench.Prefill && r.Phase == "")
		}) {
			continue // it was measured in another mode
		}
		g := dotGroup{name: s.Name, detail: shapeOf(s)}
		for _, e := range engines {
			g.lines = append(g.lines, dotLine{label: names[e.Name], class: class(string(e.Manifest.Precision)), marks: []mark{
				d.timeMark(e.Name, s.Name, first, bench.TTFT), d.timeMark(e.Name, s.Name, further, bench.TPOT)}})
		}
		plot.groups = append(plot.groups, g)
	}
	caption := "Dot: median. Bar: its distribution-free 95 % interval. Faint dots: single requests, those far beyond the scale at its right edge. " +
		"A hollow dot has too few samples for an interval. Beside each scenario: batch × prompt tokens + new tokens."
	for i := range plot.panels {
		if plot.panels[i].log = plot.spread(i) > mostLinear; plot.panels[i].log {
			caption = strings.TrimSuffix(caption, ".") + ". The scale of " + strings.ToLower(strings.TrimSuffix(plot.panels[i].title, ", ms")) + " is logarithmic."
		}
	}
	return plot.picture(caption)
}

// mostLinear is how many times the smallest value the largest may be for a linear
// scale to show both.
const mostLinear = 30

// spread is the largest value of a panel over the smallest.
func (d dots) spread(panel int) float64 {
	lo, hi := math.Inf(1), 0.0
	for _, g := range d.groups {
		for _, l := range g.lines {
			if m := l.marks[panel]; !m.missing && m.value > 0 {
				lo, hi = math.Min(lo, m.value), math.Max(hi, m.value)
			}
		}
	}
	return hi / lo
}

// timeMark is the mark of a timed row.
func (d *Data) timeMark(engine, scenario, phase, name string) mark {
	r, ok := rows.Find(d.Rows, engine, scenario, phase, name)
	if !ok {
		text := "not measured"
		whole := phase // of a cached run the request as a whole has none
		if phase == bench.Prefill || phase == bench.Decode {
			whole = ""
		}
		if f, found := rows.Find(d.Rows, engine, scenario, whole, bench.Failed); found && f.Value > 0 && len(f.Warnings) > 0 {
			text = "failed"
		} else if name == bench.TPOT && found {
			text = "one token"
		}
		return mark{missing: true, text: text}
	}
	tip := fmt.Sprintf("%s, %s: %s", engine, scenario, milliseconds(r.Value))
	if bounded(r.Lo, r.Hi) {
		tip += " (95 %: " + interval(r) + ")"
	}
	return mark{value: r.Value, lo: r.Lo, hi: r.Hi, samples: r.Samples, text: milliseconds(r.Value),
		tip: tip + fmt.Sprintf(", n = %d", r.N), unbounded: !bounded(r.Lo, r.Hi)}
}

// The smallest distances from PyTorch that the accuracy figure tells apart:
// below them is the rounding of float32.
const (
	distanceFloor = 1e-7 // of a perplexity ratio from 1
	klFloor       = 1e-9 // nats
)

// accuracy shows each engine's distance from PyTorch beside its gates. Nil
// where nothing was validated.
func (d *Data) accuracy() *picture {
	engines := d.measured(validate.PPLRatio)
	if len(engines) == 0 {
		return nil
	}
	names := labels(engines)
	plot := dots{id: d.prefix + "accuracy", title: "Distance from PyTorch FP32",
		desc: "Relative change of perplexity and mean KL divergence of each engine, prefill and cached decode apart, with the limits of the gates.",
		panels: []panel{{title: "Change of perplexity (absolute)", log: true, format: func(v float64) string { return trim(100*v) + " %" }},
			{title: "Mean KL divergence, nats a token", log: true, format: func(v float64) string { return "10" + superscript(int(math.Round(math.Log10(v)))) }}}}
	for _, phase := range []string{bench.Prefill, bench.Decode} {
		g := dotGroup{name: map[string]string{bench.Prefill: "Prefill", bench.Decode: "Cached decode"}[phase]}
		for _, e := range engines {
			g.lines = append(g.lines, dotLine{label: names[e.Name], class: class(string(e.Manifest.Precision)),
				marks: []mark{d.ratioMark(e.Name, phase), d.klMark(e.Name, phase)}})
		}
		for _, n := range d.noise() {
			m := []mark{d.ratioMark("noise/"+n, phase), d.klMark("noise/"+n, phase)}
			if !m[0].missing || !m[1].missing {
				g.lines = append(g.lines, dotLine{label: n, class: "other", marks: m})
			}
		}
		plot.groups = append(plot.groups, g)
	}
	return plot.picture("Logarithmic scales: each step to the left is ten times closer to PyTorch. The upright stroke is the gate's limit. " +
		"Bars are 95 % bootstrap intervals over whole windows." + d.noiseNote())
}

// noiseNote says what the lines without an engine are.
func (d *Data) noiseNote() string {
	if all := d.noise(); len(all) > 0 {
		return fmt.Sprintf(" For scale, in violet: %s, as right as the reference.", list(all))
	}
	return ""
}

// ratioMark is the distance of a perplexity ratio from 1.
func (d *Data) ratioMark(engine, phase string) mark {
	r, ok := rows.Find(d.Rows, engine, "", phase, validate.PPLRatio)
	if !ok {
		return mark{missing: true, text: "not measured"}
	}
	m := mark{value: math.Max(math.Abs(r.Value-1), distanceFloor), text: percent(r.Value), unbounded: !bounded(r.Lo, r.Hi)}
	m.tip = fmt.Sprintf("%s, %s: perplexity × %.6f", engine, phase, r.Value)
	if bounded(r.Lo, r.Hi) {
		a, b := math.Abs(r.Lo-1), math.Abs(r.Hi-1)
		m.lo, m.hi = math.Max(math.Min(a, b), distanceFloor), math.Max(math.Max(a, b), distanceFloor)
		if r.Lo < 1 && r.Hi > 1 {
			m.lo = distanceFloor
		}
	}
	if v, ok := d.verdict(engine, phase, "ppl_ratio_max"); ok {
		m.limit, m.failed = v.Limit-1, v.Status == gate.Fail
	}
	return m
}

// klMark is a mean KL divergence.
func (d *Data) klMark(engine, phase string) mark {
	i := slices.IndexFunc(d.Rows, func(r rows.Row) bool {
		return r.Engine == engine && r.Phase == phase && isKL(r.Name)
	})
	if i < 0 {
		return mark{missing: true, text: "not measured"}
	}
	r := d.Rows[i]
	m := mark{value: math.Max(r.Value, klFloor), lo: math.Max(r.Lo, klFloor), hi: math.Max(r.Hi, klFloor), text: scientific(r.Value), unbounded: !bounded(r.Lo, r.Hi),
		tip: fmt.Sprintf("%s, %s: %s %s nats", engine, phase, r.Name, scientific(r.Value))}
	if v, ok := d.verdict(engine, phase, "kl_mean_max"); ok {
		m.limit, m.failed = v.Limit, v.Status == gate.Fail
	}
	return m
}

// isKL tells whether a row is a mean KL divergence, of whatever number of tokens.
func isKL(name string) bool {
	return strings.HasPrefix(name, "kl_") && strings.HasSuffix(name, "_mean")
}

func (d *Data) verdict(engine, phase, name string) (gate.Verdict, bool) {
	for _, v := range d.Verdicts {
		if v.Engine == engine && v.Phase == phase && v.Gate == name {
			return v, true
		}
	}
	return gate.Verdict{}, false
}

// trim is a round number without an exponent or idle zeros.
func trim(v float64) string {
	if v == 0 {
		return "0"
	}
	return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.7f", v), "0"), ".")
}
