package report

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// ratePanel is a rate and how a picture calls it.
type ratePanel struct{ phase, name, title string }

// ratePanels are the two rates that scenarios have.
var ratePanels = []ratePanel{
	{bench.Prefill, bench.PrefillRate, "Prefill, tokens per second"},
	{bench.Decode, bench.DecodeRate, "Decode, tokens per second"},
}

// placed is a scenario with its place across.
type placed struct {
	scenario profiles.Scenario
	at       float64
}

// throughput draws rates against batch size, of the scenarios that differ in
// nothing else. Nil where no two do.
func (d *Data) throughput() *picture {
	all := d.sweep(func(s profiles.Scenario) (at float64, rest string) {
		return float64(s.Batch), fmt.Sprintf("%g + %d", depthOf(s), s.NewTokens)
	}, 2)
	if all == nil {
		return nil
	}
	s := all[0].scenario
	return d.rates("batch", "Throughput by batch size", all, [2]string{"batch size", "batch size"},
		fmt.Sprintf("Scenarios of %d prompt and %d new tokens. Medians with 95 %% intervals. A line that goes on upwards has room for a larger batch; one that is level has not.", s.PromptTokens, s.NewTokens))
}

// depth draws rates against the tokens that attention looks back on, of scenarios
// of one batch size. Nil with fewer than three lengths.
func (d *Data) depth() *picture {
	all := d.sweep(func(s profiles.Scenario) (at float64, rest string) {
		return depthOf(s), fmt.Sprint(s.Batch)
	}, 3)
	if all == nil {
		return nil
	}
	return d.rates("depth", "Throughput by depth", all, [2]string{"tokens of the prompt and before it", "tokens in the cache when decoding begins"},
		fmt.Sprintf("Scenarios of batch %d. Medians with 95 %% intervals. Where a line falls, attention over what came before begins to weigh.", all[0].scenario.Batch))
}

// behind is how the name of a scenario says that tokens are in the cache before the
// clock starts: bench calls it NAME@dN.
var behind = regexp.MustCompile(`@d(\d+)$`)

// depthOf is the tokens in the cache when a scenario begins to decode.
func depthOf(s profiles.Scenario) float64 {
	before := 0.0
	if m := behind.FindStringSubmatch(s.Name); m != nil {
		before, _ = strconv.ParseFloat(m[1], 64)
	}
	return before + float64(s.PromptTokens)
}

// sweep is the largest set of measured scenarios that differ in their place only,
// by place; nil where it has fewer places than least.
func (d *Data) sweep(place func(profiles.Scenario) (at float64, rest string), least int) []placed {
	sets := map[string][]placed{}
	var order []string
	for _, s := range d.Scenarios {
		measured := slices.ContainsFunc(d.Rows, func(r rows.Row) bool {
			return r.Scenario == s.Name && r.Phase == bench.Prefill && r.Name == bench.PrefillRate
		})
		if s.Batch == 0 || !measured {
			continue
		}
		at, rest := place(s)
		if sets[rest] == nil {
			order = append(order, rest)
		}
		if !slices.ContainsFunc(sets[rest], func(p placed) bool { return p.at == at }) {
			sets[rest] = append(sets[rest], placed{s, at})
		}
	}
	var best []placed
	for _, rest := range order {
		if len(sets[rest]) > len(best) {
			best = sets[rest]
		}
	}
	if len(best) < least {
		return nil
	}
	slices.SortFunc(best, func(a, b placed) int { return cmp.Compare(a.at, b.at) })
	return best
}

// rates draws both rates of every engine against the places of scenarios.
func (d *Data) rates(id, title string, all []placed, across [2]string, caption string) *picture {
	engines := d.measured(bench.PrefillRate)
	names := labels(engines)
	l := lines{id: d.prefix + id, title: title, keys: keysOf(engines, names), desc: "Tokens per second of each engine, prefill and decode; the table of all figures has the numbers."}
	whole := func(v float64) string { return count(int64(v)) }
	for i, panel := range ratePanels {
		p := linePanel{title: panel.title, across: across[i], logX: true, zero: true, formatX: whole, formatY: whole}
		for _, s := range all {
			p.at = append(p.at, s.at)
		}
		for k, e := range engines {
			line := series{key: k}
			for _, s := range all {
				r, ok := rows.Find(d.Rows, e.Name, s.scenario.Name, panel.phase, panel.name)
				if !ok {
					continue
				}
				line.x, line.y = append(line.x, s.at), append(line.y, r.Value)
				line.lo, line.hi = append(line.lo, r.Lo), append(line.hi, r.Hi)
				line.tips = append(line.tips, fmt.Sprintf("%s, %s: %s tok/s", e.Name, s.scenario.Name, significant(r.Value)))
			}
			if len(line.x) > 0 {
				p.series = append(p.series, line)
			}
		}
		if len(p.series) == 0 {
			continue
		}
		if p.spread() > mostLinear {
			p.logY, p.zero = true, false
			caption += " The scale of " + strings.ToLower(panel.title[:1]) + panel.title[1:] + ", is logarithmic."
		}
		l.panels = append(l.panels, p)
	}
	return l.picture(caption)
}

// spread is the largest value of a panel over the smallest.
func (p linePanel) spread() float64 {
	lo, hi := math.Inf(1), 0.0
	for _, s := range p.series {
		for _, v := range s.y {
			if v > 0 {
				lo, hi = math.Min(lo, v), math.Max(hi, v)
			}
		}
	}
	return hi / lo
}
