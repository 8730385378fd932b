package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/profiles"
)

// deployment is what to deploy of one backend, model and machine.
type deployment struct {
	Title string // empty where there is one only
	Lines []choiceLine
	Costs []string
	Left  []gate.Left
}

// choiceLine is one choice as a line of a table.
type choiceLine struct {
	Scenario, Shape        string
	All, Family            bool // the line is of all scenarios; of one deployment among several
	Engine, Class, Reason  string
	Time, TimeSpan         string
	Speedup, SpeedupSpan   string
	Next, NextClass        string
	Lead, LeadSpan, Answer string
	Pays                   string
}

// deployments are the choices, by backend, model and machine.
func (d *Data) deployments() []deployment {
	var all []deployment
	title := map[string]int{}
	for _, c := range d.Choices {
		name := c.Backend
		if c.Group != "" {
			name += " · " + c.Group
		}
		at, known := title[name]
		if !known {
			at = len(all)
			title[name] = at
			all = append(all, deployment{Title: name})
		}
		dep := &all[at]
		dep.Lines = append(dep.Lines, d.choiceLine(c))
		if c.Scenario == "" || len(dep.Lines) == 1 {
			dep.Left = c.Left
			dep.Costs = d.costs(c)
		}
	}
	if len(all) == 1 {
		all[0].Title = ""
	}
	return all
}

// overallLines are the choices for all scenarios of each deployment; nil where
// there is one only.
func (d *Data) overallLines() []choiceLine {
	var all []choiceLine
	overall := d.overall()
	for _, c := range overall {
		l := d.choiceLine(c)
		l.All, l.Family, l.Scenario, l.Shape = false, true, c.Backend, c.Group
		all = append(all, l)
	}
	if len(all) < 2 {
		return nil
	}
	return all
}

func (d *Data) choiceLine(c gate.Choice) choiceLine {
	l := choiceLine{Scenario: c.Scenario, All: c.Scenario == "", Engine: c.Engine, Class: d.classOf(c.Engine), Reason: upperFirst(c.Reason),
		Speedup: dash, Next: dash, Lead: dash, Pays: dash}
	if l.All {
		l.Scenario = "All scenarios"
	} else if s, ok := d.scenario(c.Scenario); ok {
		l.Shape = shapeOf(s)
	}
	if c.Engine == "" {
		return l
	}
	l.Time, l.TimeSpan = milliseconds(float64(c.Time.Value)), ends(c.Time, milliseconds)
	if c.Speedup != nil {
		l.Speedup, l.SpeedupSpan = factor(float64(c.Speedup.Value)), ends(c.Speedup, factor)
	}
	if c.RunnerUp != "" {
		l.Next, l.NextClass = c.RunnerUp, d.classOf(c.RunnerUp)
		l.Lead, l.LeadSpan = factor(float64(c.Lead.Value)), ends(c.Lead, factor)
		l.Answer = "not told apart"
		if c.Resolved {
			l.Answer = "resolved"
		}
	}
	if c.Cost != nil && c.Cost.Requests != nil {
		l.Pays = tokens(float64(c.Cost.Requests.Value))
	}
	return l
}

// tokens is a number of requests or tokens until something is earned.
func tokens(v float64) string {
	switch {
	case math.IsInf(v, 1) || math.IsNaN(v):
		return "never"
	case v < 1:
		return "1"
	case v < 1e6:
		return count(int64(math.Ceil(v)))
	}
	return large(int64(v))
}

// costs are what comes with a choice, in sentences.
func (d *Data) costs(c gate.Choice) []string {
	if c.Cost == nil {
		return nil
	}
	var parts []string
	if c.Cost.Bytes > 0 {
		parts = append(parts, size(float64(c.Cost.Bytes)))
	}
	if c.Cost.BuildMS > 0 {
		parts = append(parts, "built in "+milliseconds(c.Cost.BuildMS))
	}
	if c.Cost.PPLRatio != 0 {
		parts = append(parts, percent(float64(c.Cost.PPLRatio))+" perplexity")
	}
	if c.Cost.KL != 0 {
		parts = append(parts, scientific(float64(c.Cost.KL))+" nats KL divergence a token")
	}
	var lines []string
	if len(parts) > 0 {
		lines = append(lines, fmt.Sprintf("%s costs: %s.", c.Engine, strings.Join(parts, ", ")))
	}
	if r := c.Cost.Requests; r != nil && c.Over != "" {
		if math.IsInf(float64(r.Value), 1) {
			lines = append(lines, "It saves no time over "+c.Over+", so its build never pays.")
		} else {
			s := fmt.Sprintf("What it saves over %s pays for its build after %s", c.Over, plural(int(min(math.Ceil(float64(r.Value)), 1e15)), "request"))
			if t := c.Cost.Tokens; t != nil {
				s += fmt.Sprintf(" (%s generated tokens)", tokens(float64(t.Value)))
			}
			lines = append(lines, s+".")
		}
	}
	return lines
}

// classOf colours an engine by its name.
func (d *Data) classOf(name string) string {
	for _, e := range d.Engines {
		if e.Name == name {
			return class(string(e.Manifest.Precision))
		}
	}
	return class("")
}

// scenario is that of a name.
func (d *Data) scenario(name string) (profiles.Scenario, bool) {
	for _, s := range d.Scenarios {
		if s.Name == name {
			return s, true
		}
	}
	return profiles.Scenario{}, false
}

// shapeOf is batch × prompt + new tokens; empty where a scenario has none.
func shapeOf(s profiles.Scenario) string {
	if s.Batch == 0 {
		return ""
	}
	return fmt.Sprintf("%d × %d + %d", s.Batch, s.PromptTokens, s.NewTokens)
}

// matrixTable is the deployment matrix in words.
type matrixTable struct {
	Backends []string // those with a figure
	Lines    []matrixLine
	Models   bool     // lines are of several models
	Absent   []string // the other backends, with the reason
}

type matrixLine struct {
	Model, Size, Phase string
	Cells              []matrixCell
}

type matrixCell struct{ Engine, Class, Rate, Speedup, Reason string }

// matrixTable is nil where nothing was timed, or where there is one backend and
// one model, of which the table of choices says all.
func (d *Data) matrixTable() *matrixTable {
	models := d.models()
	if len(d.Matrix.Lines) == 0 || len(d.Matrix.Backends) < 2 && len(models) < 2 {
		return nil
	}
	t := &matrixTable{Models: len(models) > 1}
	shown := make([]bool, len(d.Matrix.Backends))
	for i, name := range d.Matrix.Backends {
		reason := ""
		for _, l := range d.Matrix.Lines {
			shown[i] = shown[i] || l.Cells[i].Rate != nil
			reason = or(reason, l.Cells[i].Reason)
		}
		if shown[i] {
			t.Backends = append(t.Backends, name)
		} else {
			t.Absent = append(t.Absent, name+": "+or(reason, "not measured"))
		}
	}
	for _, l := range d.Matrix.Lines {
		line := matrixLine{Model: l.Group, Phase: l.Phase}
		for _, m := range models {
			if m.Parameters > 0 && (l.Group == m.Name || strings.HasPrefix(l.Group, m.Name+" on ")) {
				line.Size = large(m.Parameters)
			}
		}
		for i, c := range l.Cells {
			if !shown[i] {
				continue
			}
			cell := matrixCell{Engine: c.Engine, Class: d.classOf(c.Engine), Reason: c.Reason}
			if c.Rate != nil {
				cell.Rate = grouped(float64(c.Rate.Value)) + " tok/s"
			}
			if c.Speedup != nil {
				cell.Speedup = factor(float64(c.Speedup.Value)) + " FP32"
			}
			line.Cells = append(line.Cells, cell)
		}
		t.Lines = append(t.Lines, line)
	}
	return t
}
