package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// dash stands where nothing is known.
const dash = "–"

// glance is one engine in the table that comes first.
type glance struct {
	Name, Class, Precision, Backend string
	Size                            string
	Perplexity, Change, KL, Speed   string
	Verdict, VerdictClass           string
}

func (d *Data) glance() []glance {
	var all []glance
	engines, times := d.judged(), d.requests()
	for _, e := range d.Engines {
		m := e.Manifest
		g := glance{Name: e.Name, Class: class(string(m.Precision)), Precision: strings.ToUpper(string(m.Precision)), Backend: m.Backend,
			Size:       known(float64(m.Bytes), size),
			Perplexity: dash, Change: dash, KL: dash, Speed: dash}
		if r, ok := rows.Find(d.Rows, e.Name, "", bench.Decode, validate.Perplexity); ok {
			g.Perplexity = significant4(r.Value)
		}
		if r, ok := rows.Find(d.Rows, e.Name, "", bench.Decode, validate.PPLRatio); ok {
			g.Change = percent(r.Value)
		}
		if k := d.klMark(e.Name, bench.Decode); !k.missing {
			g.KL = k.text
		}
		g.Speed = d.speed(e, engines, times)
		g.Verdict, g.VerdictClass = d.verdictOf(e)
		all = append(all, g)
	}
	return all
}

// speed is how many times faster than the FP32 engine of its backend, model and
// machine an engine is.
func (d *Data) speed(e Engine, engines []gate.Engine, times []rows.Row) string {
	mine := slices.IndexFunc(engines, func(g gate.Engine) bool { return g.Name == e.Name })
	for _, b := range engines {
		if b.Backend != engines[mine].Backend || b.Group != engines[mine].Group || b.Precision != "fp32" {
			continue
		}
		if b.Name == e.Name && d.timed(e.Name) {
			return "baseline"
		}
		if r, n := gate.Speedup(times, b.Name, e.Name, bench.E2E); n > 0 {
			return significant(r.Value) + " ×"
		}
	}
	return dash
}

// requests are the times of requests without their samples: enough for a ratio, and
// no interval is drawn that nobody reads.
func (d *Data) requests() []rows.Row {
	var all []rows.Row
	for _, r := range d.Rows {
		if r.Name == bench.E2E {
			r.Samples = nil
			all = append(all, r)
		}
	}
	return all
}

// timed tells whether the engine's requests were timed.
func (d *Data) timed(engine string) bool {
	return slices.ContainsFunc(d.Rows, func(r rows.Row) bool { return r.Engine == engine && r.Name == bench.E2E })
}

// verdictOf sums up an engine's verdicts in a word or two.
func (d *Data) verdictOf(e Engine) (text, class string) {
	n := map[gate.Status]int{}
	for _, v := range d.Verdicts {
		if v.Engine == e.Name {
			n[v.Status]++
		}
	}
	switch {
	case n[gate.Fail] > 0:
		return fmt.Sprintf("%d of %d fail", n[gate.Fail], n[gate.Fail]+n[gate.Pass]), "fail"
	case n[gate.Pass] > 0 && n[gate.NotEvaluated] > 0:
		return fmt.Sprintf("%d of %d pass", n[gate.Pass], n[gate.Pass]+n[gate.NotEvaluated]), "pass"
	case n[gate.Pass] > 0:
		return fmt.Sprintf("%d pass", n[gate.Pass]), "pass"
	case n[gate.NotEvaluated] > 0 || e.Idle != "":
		return "not run", "idle"
	}
	return "no gates", "idle"
}

// significant4 is a perplexity: four significant digits.
func significant4(v float64) string {
	if !bounded(v, v) || v == 0 {
		return significant(v)
	}
	digits := 3 - int(math.Floor(math.Log10(math.Abs(v))))
	return fmt.Sprintf("%.*f", max(digits, 0), v)
}

// planLine is one profile with its ranges.
type planLine struct {
	Class, Name      string
	Index, Shapes    int
	Batch, Seq, Past string
}

func (d *Data) planLines() []planLine {
	if d.Plan == nil {
		return nil
	}
	var all []planLine
	span := func(s profiles.Span) string {
		if s.Min == s.Max {
			return fmt.Sprint(s.Min)
		}
		return fmt.Sprintf("%d – %d – %d", s.Min, s.Opt, s.Max)
	}
	demand, serving := coverage(d.Plan)
	for i, p := range d.Plan.Profiles {
		l := planLine{Class: fmt.Sprintf("p%d", i%4), Name: p.Name, Index: i, Batch: span(p.Batch), Seq: span(p.Seq), Past: span(p.Past)}
		for k, c := range serving {
			if c == i {
				l.Shapes += demand[k].Shapes()
			}
		}
		all = append(all, l)
	}
	return all
}

// built is how one engine came to be.
type built struct {
	Name, Class, Target, Requested, Achieved, Builder, Time, Size, Key, FullKey, Layers, Licence string
	Mismatch                                                                                     bool
}

func (d *Data) built() []built {
	var all []built
	for _, e := range d.Engines {
		m := e.Manifest
		if m.Builder == "" && m.Bytes == 0 {
			continue // rows of it are all that is known
		}
		b := built{Name: e.Name, Class: class(string(m.Precision)), Target: orDash(m.Target), Requested: strings.ToUpper(string(m.Precision)),
			Achieved: strings.ToUpper(string(m.Achieved)), Builder: orDash(m.Builder), Size: size(float64(m.Bytes)), Key: short(m.Key), FullKey: m.Key,
			Time: milliseconds(m.Measured.BuildMS), Mismatch: m.Achieved != "" && m.Achieved != m.Precision, Licence: m.Licence}
		if b.Achieved == "" {
			b.Achieved = dash
		}
		if m.Measured.BuildMS == 0 {
			b.Time = dash
		}
		if e.Cached {
			b.Time += ", from the store"
		}
		for _, name := range slices.Sorted(maps.Keys(m.Layers)) {
			b.Layers += fmt.Sprintf(", %d %s", m.Layers[name], name)
		}
		b.Layers = strings.TrimPrefix(b.Layers, ", ")
		all = append(all, b)
	}
	return all
}

// known is a figure that is 0 where nobody knows it.
func known(v float64, show func(float64) string) string {
	if v == 0 {
		return dash
	}
	return show(v)
}

func orDash(s string) string {
	if s == "" {
		return dash
	}
	return s
}

// port is an input or output of the graph, layers folded into one.
type port struct{ Way, Name, Kind, Type, Shape string }

func (d *Data) ports() []port {
	if d.Contract == nil {
		return nil
	}
	var all []port
	seen := map[contract.Kind]bool{}
	list := func(way string, tensors []contract.Tensor) {
		for _, t := range tensors {
			cache := strings.HasPrefix(string(t.Kind), "past_") || strings.HasPrefix(string(t.Kind), "present_")
			if cache && seen[t.Kind] {
				continue
			}
			seen[t.Kind] = true
			var dims []string
			for _, dim := range t.Dims {
				if dim.Role == contract.Static {
					dims = append(dims, fmt.Sprint(dim.Size))
				} else {
					dims = append(dims, string(dim.Role))
				}
			}
			p := port{Way: way, Name: t.Name, Kind: strings.ReplaceAll(string(t.Kind), "_", " "), Type: t.Type, Shape: strings.Join(dims, " × ")}
			if cache && d.Contract.Layers > 1 {
				p.Kind += fmt.Sprintf(", one of %d layers", d.Contract.Layers)
			}
			all = append(all, p)
		}
	}
	list("in", d.Contract.Inputs)
	list("out", d.Contract.Outputs)
	return all
}

// figureLine is one row as a line of the table of all figures.
type figureLine struct {
	Engine, Class, Scenario, Phase, Name, Value, Interval, Run string
	N                                                          int
	Notes                                                      []int
}

func (d *Data) figureLines(n *notes) []figureLine {
	precision, run := map[string]string{}, map[string]string{}
	for _, e := range d.Engines {
		precision[e.Name], run[e.Name] = string(e.Manifest.Precision), d.run(e).Name
	}
	var all []figureLine
	for _, r := range d.Rows {
		if strings.HasSuffix(r.Name, "_by_position") {
			continue // a picture shows it
		}
		l := figureLine{Engine: r.Engine, Class: class(precision[r.Engine]), Scenario: orDash(r.Scenario), Phase: orDash(r.Phase), Name: r.Name,
			Value: figure(r.Value, r.Unit), Interval: interval(r), N: r.N, Run: run[r.Engine]}
		for _, w := range r.Warnings {
			l.Notes = append(l.Notes, n.number(w))
		}
		all = append(all, l)
	}
	return all
}
