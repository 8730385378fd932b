package main

import (
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
	"github.com/trtforge/trtforge/validate"
)

// outcome is what was measured of one model.
type outcome struct {
	*member
	Samples  []bench.Sample
	Resumed  int // of them, from an earlier run
	Machine  bench.Machine
	Warnings []string
	Parity   []parity
}

// matches are rows of how many tokens of a row are PyTorch's before the first that is
// not, the mean over all rows.
func (o outcome) matches() (all []rows.Row) {
	for _, p := range o.Parity {
		r := rows.Exact(p.Engine, validate.GreedyMatch, "tokens", float64(p.Same)/float64(max(p.Rows, 1)))
		r.Phase, r.N = bench.Decode, p.Rows
		all = append(all, r)
	}
	return all
}

// prefillSuffix tells a scenario's request for one token from the one for all.
const prefillSuffix = "-prefill"

// cases are the requests of a study: every scenario in every mode.
func cases(scenarios []profiles.Scenario, modes []string) (all []bench.Case) {
	for _, mode := range modes {
		for _, s := range scenarios {
			c := bench.Case{Scenario: s, Mode: bench.Mode(mode)}
			if mode == modePrefill {
				c.Name, c.NewTokens, c.Mode = s.Name+prefillSuffix, 1, bench.Cached
			}
			all = append(all, c)
		}
	}
	return all
}

// modeOf is the mode that a sample is of.
func modeOf(s bench.Sample) string {
	if strings.HasSuffix(s.Scenario, prefillSuffix) {
		return modePrefill
	}
	return string(s.Mode)
}

// cell is the requests of one engine in one scenario and mode.
type cell struct{ Engine, Scenario, Mode string }

func cellOf(s bench.Sample) cell {
	return cell{s.Engine, strings.TrimSuffix(s.Scenario, prefillSuffix), modeOf(s)}
}

// times are the whole requests of a cell that gave a time, in ms and in the order in
// which they were taken. Failed ones are in failures.
func (o outcome) times(c cell) (ms []float64) {
	for _, s := range o.Samples {
		if s.Failure == nil && cellOf(s) == c {
			ms = append(ms, s.E2E)
		}
	}
	return ms
}

// failures are the requests of a cell that gave none.
func (o outcome) failures(c cell) (all []*bench.Failure) {
	for _, s := range o.Samples {
		if s.Failure != nil && cellOf(s) == c {
			all = append(all, s.Failure)
		}
	}
	return all
}

// rates are tokens a second of whole passes over the scenarios, one a repetition:
// prompt tokens of prefills, new tokens of the rest. There are none where a scenario
// has failures: a rate over the others would be another study's.
func (o outcome) rates(engine, mode string, scenarios []profiles.Scenario) []float64 {
	var passes []float64 // ms
	tokens := 0
	for i, s := range scenarios {
		ms := o.times(cell{engine, s.Name, mode})
		if i == 0 {
			passes = slices.Clone(ms)
		}
		if len(ms) != len(passes) || len(o.failures(cell{engine, s.Name, mode})) > 0 {
			return nil
		}
		for k := range ms {
			if i > 0 {
				passes[k] += ms[k]
			}
		}
		if mode == modePrefill {
			tokens += s.Batch * s.PromptTokens
		} else {
			tokens += s.Batch * s.NewTokens
		}
	}
	for k, ms := range passes {
		passes[k] = 1000 * float64(tokens) / ms
	}
	return passes
}

// crossing is where one engine stops to be faster than PyTorch, in one mode.
type crossing struct {
	Engine, Mode string
	Fit          stats.Crossing   // of a power law
	Between      []stats.Crossing // between neighbouring sizes, no law assumed
	Groups       []stats.Group
	Err          error // why there is no fit
}

// cross fits the ratio of an engine's rate to PyTorch's against parameters in
// millions, as the study did.
func cross(all []outcome, engine, mode string, scenarios []profiles.Scenario) crossing {
	c := crossing{Engine: engine, Mode: mode}
	for _, o := range all {
		a, b := o.rates(engine, mode, scenarios), o.rates("torch", mode, scenarios)
		if len(a) > 0 && len(b) > 0 {
			c.Groups = append(c.Groups, stats.Group{Size: float64(o.Parameters) / 1e6, A: a, B: b})
		}
	}
	if c.Fit, c.Err = stats.Crossover(c.Groups, 0, 1); c.Err == nil {
		c.Between, c.Err = stats.Between(c.Groups, 0, 1)
	}
	return c
}

// crossed is the same of what the study published, one rate a size.
func (p *published) crossed() (stats.Crossing, error) {
	var groups []stats.Group
	for _, v := range p.Crossover.Points {
		groups = append(groups, stats.Group{Size: v.Millions, A: []float64{v.ORT}, B: []float64{v.Torch}})
	}
	return stats.Crossover(groups, 0, 1)
}
