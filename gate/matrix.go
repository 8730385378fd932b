package gate

import (
	"slices"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// Matrix is the deployment matrix of the study that trtforge answers, of the
// reader's own figures: a line for each model and way of running it, a column for
// each backend, and in each cell the fastest engine that passed its gates. What a
// column's machine costs no row knows, so no cell is said to win.
type Matrix struct {
	Backends []string     `json:"backends"`
	Lines    []MatrixLine `json:"lines"`
}

// MatrixLine is one model, in one phase.
type MatrixLine struct {
	Group string       `json:"group,omitempty"`
	Phase string       `json:"phase"` // prefill, decode, uncached, chunked
	Cells []MatrixCell `json:"cells"` // a cell for each backend
}

// MatrixCell is the fastest engine of a backend.
type MatrixCell struct {
	Engine  string  `json:"engine,omitempty"`
	Rate    *Figure `json:"tokens_per_second,omitempty"` // geometric mean over scenarios of the medians
	Speedup *Figure `json:"speedup,omitempty"`           // over the backend's FP32 engine
	Reason  string  `json:"reason,omitempty"`            // why there is none
	Outside bool    `json:"outside,omitempty"`           // a backend that is compared with only, without gates
}

// rates are the rows that a line of the matrix is made of, by phase.
var rates = []struct{ phase, name string }{
	{"prefill", "prefill_tok_s"}, {"chunked", "prefill_tok_s"}, {"decode", "decode_tok_s"}, {"uncached", "decode_tok_s"},
}

// NewMatrix fills the matrix. It has no lines where nothing was timed.
func NewMatrix(engines []Engine, verdicts []Verdict, scenarios []profiles.Scenario, all []rows.Row) Matrix {
	m := Matrix{}
	var groups []string
	for _, e := range engines {
		if !slices.Contains(m.Backends, e.Backend) {
			m.Backends = append(m.Backends, e.Backend)
		}
		if !slices.Contains(groups, e.Group) {
			groups = append(groups, e.Group)
		}
	}
	for _, group := range groups {
		for _, rate := range rates {
			line := MatrixLine{Group: group, Phase: rate.phase}
			timed := false
			for _, backend := range m.Backends {
				some := slices.DeleteFunc(slices.Clone(engines), func(e Engine) bool { return e.Group != group || e.Backend != backend })
				c := chooser{engines: some, verdicts: verdicts, rows: all}
				cell := c.cell(rate.phase, rate.name, scenarios)
				line.Cells = append(line.Cells, cell)
				timed = timed || cell.Rate != nil
			}
			if timed {
				m.Lines = append(m.Lines, line)
			}
		}
	}
	return m
}

// cell finds the engine of the highest rate.
func (c chooser) cell(phase, name string, scenarios []profiles.Scenario) MatrixCell {
	best := MatrixCell{}
	if len(c.engines) == 0 {
		return best
	}
	outside := slices.Contains(unchosen, c.engines[0].Backend)
	for _, e := range c.engines {
		reason := ""
		if !outside {
			reason = standing(e, c.verdicts)
		}
		r, n := c.rate(e.Name, phase, name, scenarios)
		if reason == "" && n == 0 {
			reason = "not measured"
		}
		if reason != "" {
			if best.Engine == "" {
				best.Reason = reason
			}
			continue
		}
		if best.Rate == nil || r.Value > float64(best.Rate.Value) {
			best = MatrixCell{Engine: e.Name, Rate: figureOf(r), Outside: outside}
			if base, ok := baseline(e, c.engines, "fp32"); ok {
				if b, m := c.rate(base.Name, phase, name, scenarios); m == n {
					best.Speedup = figureOf(geometric([]rows.Row{Ratio(r, b)}, nil))
				}
			}
		}
	}
	return best
}

// rate is the geometric mean of an engine's rates over scenarios, and of how many.
func (c chooser) rate(engine, phase, name string, scenarios []profiles.Scenario) (rows.Row, int) {
	var all []rows.Row
	for _, r := range c.rows {
		known := len(scenarios) == 0 || slices.ContainsFunc(scenarios, func(s profiles.Scenario) bool { return s.Name == r.Scenario })
		if r.Engine == engine && r.Phase == phase && r.Name == name && known && !onHost(r) && r.Value > 0 {
			all = append(all, r)
		}
	}
	return geometric(all, nil), len(all)
}
