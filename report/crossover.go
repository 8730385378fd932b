package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// system is one way of running models of several sizes: backend and precision.
type system struct {
	name, class string
	machine     int
	size, rate  []float64 // parameters, and tokens per second: geometric mean over scenarios
}

// sizePanels are the rates that are drawn against the size of models.
var sizePanels = append(ratePanels[:len(ratePanels):len(ratePanels)], ratePanel{string(bench.Uncached), bench.DecodeRate, "Uncached decode, tokens per second"})

// fitResamples is of the interval of a crossover.
const fitResamples = 2000

// crossover draws rates against the size of models and says where two systems
// meet. Nil where fewer than three models were measured.
func (d *Data) crossover() (*picture, []string) {
	if len(d.models()) < 3 {
		return nil, nil
	}
	l := lines{id: "crossover", title: "Speed by size of the model", desc: "Tokens per second of each system against the model's parameters, with a power law through its points."}
	var claims []claim
	whole := func(v float64) string { return large(int64(math.Round(v))) }
	index := map[string]int{}
	for _, panel := range sizePanels {
		p := linePanel{title: panel.title, across: "parameters", logX: true, logY: true, formatX: whole, formatY: whole}
		systems := d.systems(panel.phase, panel.name)
		for _, s := range systems {
			k, known := index[s.name]
			if !known {
				k = len(l.keys)
				index[s.name] = k
				l.keys = append(l.keys, key{label: s.name, class: s.class, dash: dashOf(l.keys, s.class)})
			}
			p.series = append(p.series, s.fit(k), series{key: k, x: s.size, y: s.rate, loose: true})
		}
		said := crossings(systems, strings.ToLower(strings.Split(panel.title, ",")[0]), &p)
		if len(p.series) > 0 {
			l.panels, claims = append(l.panels, p), append(claims, said...)
		}
	}
	if len(l.panels) == 0 {
		return nil, nil
	}
	return l.picture("Dots: geometric mean over scenarios of the medians of each model. Lines: power laws by least squares of logarithms. The band is the 95 % interval of the first crossing."), sentences(claims)
}

func dashOf(keys []key, class string) int {
	n := 0
	for _, k := range keys {
		if k.class == class {
			n++
		}
	}
	return n
}

// systems are those with rates of three models or more, on one machine each.
func (d *Data) systems(phase, name string) []system {
	machines := d.machines()
	var all []system
	for _, e := range d.Engines {
		m := d.model(e)
		if m.Parameters == 0 {
			continue
		}
		var logs []float64
		for _, r := range d.Rows {
			if r.Engine == e.Name && r.Phase == phase && r.Name == name && r.Value > 0 {
				logs = append(logs, math.Log(r.Value))
			}
		}
		if len(logs) == 0 {
			continue
		}
		s := system{name: strings.TrimPrefix(e.Manifest.Backend+"-"+string(e.Manifest.Precision), "-"), class: class(string(e.Manifest.Precision)), machine: d.machineOf(e.Run, machines)}
		if e.Manifest.Backend == "" {
			s.name = e.Name[strings.LastIndex(e.Name, "/")+1:]
		}
		at := slices.IndexFunc(all, func(o system) bool { return o.name == s.name && o.machine == s.machine })
		if at < 0 {
			all = append(all, s)
			at = len(all) - 1
		}
		if slices.Contains(all[at].size, float64(m.Parameters)) {
			continue
		}
		sum := 0.0
		for _, v := range logs {
			sum += v
		}
		all[at].size = append(all[at].size, float64(m.Parameters))
		all[at].rate = append(all[at].rate, math.Exp(sum/float64(len(logs))))
	}
	return slices.DeleteFunc(all, func(s system) bool { return len(s.size) < 3 })
}

// fit is the power law through the system's points.
func (s system) fit(key int) series {
	out := series{key: key, bare: true}
	law, err := stats.PowerLaw(s.size, s.rate, ratioSeed)
	if err != nil {
		return out
	}
	for _, x := range []float64{slices.Min(s.size), slices.Max(s.size)} {
		out.x, out.y = append(out.x, x), append(out.y, law.At(x))
	}
	return out
}

// ratioSeed is of all draws behind the report's own figures, so that the same
// rows always give the same page.
const ratioSeed = 1

// crossings says where the other backends of a machine meet the one
// that is compared with: PyTorch where it was measured, else the first. The first
// crossing is marked in the panel.
func crossings(all []system, phase string, p *linePanel) (said []claim) {
	if len(all) == 0 {
		return nil
	}
	base := max(slices.IndexFunc(all, func(s system) bool { return strings.HasPrefix(s.name, "pytorch") }), 0)
	b := all[base]
	for i, a := range all {
		if i == base || a.machine != b.machine {
			continue
		}
		var groups []stats.Group
		for j, size := range a.size {
			if k := slices.Index(b.size, size); k >= 0 {
				groups = append(groups, stats.Group{Size: size, A: []float64{a.rate[j]}, B: []float64{b.rate[k]}})
			}
		}
		c, err := stats.Crossover(groups, fitResamples, ratioSeed)
		if err != nil || c.Beyond {
			said = append(said, claim{phase, beside(a.name, b.name, groups)})
			continue
		}
		at, side, k := c.At, "below", c.Law.K.Value
		if k > 0 {
			side = "above"
		}
		size := large(int64(math.Round(at.Value)))
		s := fmt.Sprintf("%s is faster than %s %s %s parameters", a.name, b.name, side, size)
		if at.HasInterval() {
			s += fmt.Sprintf(" (95 %%: %s – %s)", large(int64(math.Round(at.Lo))), large(int64(math.Round(at.Hi))))
		}
		said = append(said, claim{phase, s + fmt.Sprintf("; their ratio goes with the %s power of the size", minus(fmt.Sprintf("%.3f", k)))})
		if p.band == nil {
			p.band = &bandAt{at: at.Value, lo: at.Lo, hi: at.Hi, label: size, class: a.class}
		}
	}
	return said
}

// claim is what holds in a phase.
type claim struct{ phase, text string }

// sentences say once what holds in several phases.
func sentences(all []claim) (said []string) {
	phases := map[string][]string{}
	for _, c := range all {
		phases[c.text] = append(phases[c.text], c.phase)
	}
	for _, c := range all {
		if in := phases[c.text]; in != nil {
			said = append(said, fmt.Sprintf("In %s, %s.", list(in), c.text))
			phases[c.text] = nil
		}
	}
	return said
}

// beside says which of two systems is faster where no size is known at which they
// are equal: by what was measured, for a law would be its own word alone.
func beside(a, b string, groups []stats.Group) string {
	faster := 0
	for _, g := range groups {
		if g.A[0] > g.B[0] {
			faster++
		}
	}
	switch n := len(groups); faster {
	case n:
		return fmt.Sprintf("%s is faster than %s at every size that was measured", a, b)
	case 0:
		return fmt.Sprintf("%s is slower than %s at every size that was measured", a, b)
	default:
		return fmt.Sprintf("%s is faster than %s at %d of %d sizes, without a trend that crosses between them", a, b, faster, n)
	}
}

// isNoise tells the rows that say how far apart two right answers are.
func isNoise(engine string) bool { return strings.HasPrefix(engine, "noise/") }

// noise are the names of those rows, without the prefix.
func (d *Data) noise() []string {
	var all []string
	for _, r := range d.Rows {
		if name, ok := strings.CutPrefix(r.Engine, "noise/"); ok && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// measuredPhases are the phases in which an engine has a row of that name.
func (d *Data) measuredPhases(engine, name string) []string {
	var all []string
	for _, phase := range []string{bench.Prefill, bench.Decode} {
		if _, ok := rows.Find(d.Rows, engine, "", phase, name); ok {
			all = append(all, phase)
		}
	}
	return all
}
