package gate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// Choice is what to deploy for one scenario, or for all of them, among the engines
// of one backend, model and machine. Times of others are not comparable, so a
// choice between backends is left to who reads them side by side ([NewMatrix]).
type Choice struct {
	Scenario string  `json:"scenario,omitempty"` // empty: all scenarios, by their weights
	Backend  string  `json:"backend"`
	Group    string  `json:"group,omitempty"`
	Engine   string  `json:"engine,omitempty"`  // empty where none may be deployed
	Reason   string  `json:"reason,omitempty"`  // why none may
	Time     *Figure `json:"time_ms,omitempty"` // median of a whole request; of all scenarios the weighted geometric mean
	Speedup  *Figure `json:"speedup,omitempty"` // over the FP32 engine; absent where there is none, or it is that one
	Over     string  `json:"over,omitempty"`    // that engine
	Cost     *Cost   `json:"cost,omitempty"`
	RunnerUp string  `json:"runner_up,omitempty"` // the next that passed; empty where it is alone
	Lead     *Figure `json:"lead,omitempty"`      // the runner-up's time over its own
	Resolved bool    `json:"resolved,omitempty"`  // the lead's interval lies above 1
	Note     string  `json:"note,omitempty"`      // what to know about its figures
	Left     []Left  `json:"left,omitempty"`      // who was not considered
}

// unchosen are backends that are only compared with.
var unchosen = []string{"pytorch"}

// candidate is an engine with its times in the scenarios of a choice.
type candidate struct {
	Engine
	times []rows.Row
}

// Recommend names, for all scenarios together and then for each, the fastest
// engine that passed its gates, backend by backend in the order of the engines. A
// backend of which nothing was run has no choice.
func Recommend(engines []Engine, verdicts []Verdict, scenarios []profiles.Scenario, all []rows.Row) []Choice {
	scenarios = asked(scenarios, all)
	var choices []Choice
	for _, family := range families(engines) {
		ran := func(e Engine) bool { return e.Idle == "" }
		if !slices.ContainsFunc(family, ran) || len(scenarios) == 0 {
			continue
		}
		c := chooser{engines: family, verdicts: verdicts, rows: all}
		choices = append(choices, c.choose("", scenarios))
		if len(scenarios) > 1 {
			for _, s := range scenarios {
				choices = append(choices, c.choose(s.Name, []profiles.Scenario{s}))
			}
		}
	}
	return choices
}

// asked are the scenarios that some engine has a time or a failure in; without a
// workload, those that rows name.
func asked(scenarios []profiles.Scenario, all []rows.Row) []profiles.Scenario {
	has := map[string]bool{}
	var named []profiles.Scenario
	for _, r := range all {
		if r.Scenario != "" && !has[r.Scenario] && (r.Name == "e2e" || r.Name == "failed") {
			has[r.Scenario] = true
			named = append(named, profiles.Scenario{Name: r.Scenario, Weight: 1})
		}
	}
	if len(scenarios) == 0 {
		return named
	}
	return slices.DeleteFunc(slices.Clone(scenarios), func(s profiles.Scenario) bool { return !has[s.Name] })
}

// families are the engines whose times may stand side by side.
func families(engines []Engine) [][]Engine {
	var all [][]Engine
	for _, e := range engines {
		if slices.Contains(unchosen, e.Backend) {
			continue
		}
		i := slices.IndexFunc(all, func(f []Engine) bool { return f[0].comparable(e) })
		if i < 0 {
			all = append(all, nil)
			i = len(all) - 1
		}
		all[i] = append(all[i], e)
	}
	return all
}

// chooser chooses among the engines of a family.
type chooser struct {
	engines  []Engine
	verdicts []Verdict
	rows     []rows.Row
}

// choose finds the fastest in the scenarios together.
func (c chooser) choose(name string, scenarios []profiles.Scenario) Choice {
	out := Choice{Scenario: name, Backend: c.engines[0].Backend, Group: c.engines[0].Group}
	var fit []candidate
	for _, e := range c.engines {
		times, reason := c.times(e, scenarios)
		if standing := standing(e, c.verdicts); standing != "" {
			reason = standing
		}
		if reason != "" {
			out.Left = append(out.Left, Left{e.Name, reason})
			continue
		}
		fit = append(fit, candidate{e, times})
	}
	if len(fit) == 0 {
		out.Reason = "no engine that was timed passed its gates"
		if len(out.Left) == 1 {
			out.Reason = out.Left[0].Engine + ": " + out.Left[0].Reason
		}
		return out
	}
	w := weights(scenarios)
	slices.SortStableFunc(fit, func(a, b candidate) int {
		return cmp.Compare(geometric(a.times, w).Value, geometric(b.times, w).Value)
	})
	best := fit[0]
	out.Engine, out.Time, out.Note = best.Name, figureOf(geometric(best.times, w)), best.Note
	if len(fit) > 1 {
		lead := ratioOf(fit[1].times, best.times, w)
		out.RunnerUp, out.Lead, out.Resolved = fit[1].Name, figureOf(lead), lead.Lo > 1
	}
	out.Cost = c.cost(best.Engine)
	if base, ok := baseline(best.Engine, c.engines, "fp32"); ok && base.NoSpeed == "" {
		if slow, reason := c.times(base, scenarios); reason == "" {
			out.Over, out.Speedup = base.Name, figureOf(ratioOf(slow, best.times, w))
			out.Cost.earn(best.BuildMS, scenarios, slow, best.times)
		}
	}
	return out
}

// times are an engine's times in all of the scenarios, or why it lacks one.
func (c chooser) times(e Engine, scenarios []profiles.Scenario) (times []rows.Row, reason string) {
	for _, s := range scenarios {
		time, reason := absent(e.Name, s.Name, c.rows)
		if reason != "" {
			return nil, reason
		}
		times = append(times, time)
	}
	return times, ""
}

// ratioOf is how many times as long a takes as b.
func ratioOf(a, b []rows.Row, weights []float64) rows.Row {
	var ratios []rows.Row
	for i := range a {
		ratios = append(ratios, Ratio(a[i], b[i]))
	}
	return geometric(ratios, weights)
}

func weights(scenarios []profiles.Scenario) []float64 {
	var all []float64
	for _, s := range scenarios {
		if s.Weight == 0 {
			s.Weight = 1
		}
		all = append(all, s.Weight)
	}
	return all
}

// String is the choice in one line.
func (c Choice) String() string {
	where := c.Backend
	if c.Scenario != "" {
		where += ", " + c.Scenario
	}
	if c.Engine == "" {
		return where + ": nothing to deploy, " + c.Reason
	}
	s := where + ": " + c.Engine
	switch {
	case c.Speedup != nil && c.Speedup.Bounded():
		s += fmt.Sprintf(", %.2f times as fast as %s (95 %%: %.2f to %.2f)", c.Speedup.Value, c.Over, c.Speedup.Lo, c.Speedup.Hi)
	case c.Speedup != nil:
		s += fmt.Sprintf(", %.2f times as fast as %s (no 95 %% interval)", c.Speedup.Value, c.Over)
	}
	if c.RunnerUp != "" && !c.Resolved {
		s += "; " + c.RunnerUp + " may be as fast"
	}
	return s
}
