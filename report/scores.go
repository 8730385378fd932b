package report

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// scoreLine is what validation found of one engine on one path.
type scoreLine struct {
	Engine, Class, Phase                   string
	Perplexity, Change, ChangeSpan         string
	KL, KLSpan, KL99, KLMax                string
	Top1, Top5, Delta, Logit, Greedy, Rows string
}

// scores are the figures behind the picture of accuracy.
func (d *Data) scores() []scoreLine {
	var all []scoreLine
	names := map[string]string{}
	var order []string
	for _, e := range d.Engines {
		order = append(order, e.Name)
		names[e.Name] = e.Name
	}
	for _, n := range d.noise() {
		order = append(order, "noise/"+n)
		names["noise/"+n] = "noise: " + n
	}
	for _, engine := range order {
		for _, phase := range d.measuredPhases(engine, validate.PPLRatio) {
			all = append(all, d.score(engine, names[engine], phase))
		}
	}
	return all
}

func (d *Data) score(engine, name, phase string) scoreLine {
	l := scoreLine{Engine: name, Class: d.classOf(engine), Phase: phase}
	get := func(show func(float64) string, patterns ...string) (value, interval string) {
		for _, p := range patterns {
			for _, r := range d.Rows {
				if r.Engine != engine || r.Phase != phase || r.Scenario != "" || !like(r.Name, p) {
					continue
				}
				if r.Lo != r.Hi && bounded(r.Lo, r.Hi) {
					interval = between(show(r.Lo), show(r.Hi))
				}
				return show(r.Value), interval
			}
		}
		return dash, ""
	}
	share := func(v float64) string { return strings.TrimSuffix(fmt.Sprintf("%.3f", 100*v), ".000") + " %" }
	l.Perplexity, _ = get(significant4, validate.Perplexity)
	l.Change, l.ChangeSpan = get(percent, validate.PPLRatio)
	l.KL, l.KLSpan = get(scientific, "kl_full_mean", "kl_top*_mean")
	l.KL99, _ = get(scientific, "kl_full_p99", "kl_top*_p99")
	l.KLMax, _ = get(scientific, "kl_full_max", "kl_top*_max")
	l.Top1, _ = get(share, validate.Top1Agreement)
	l.Top5, _ = get(share, "top5_agreement")
	l.Delta, _ = get(scientific, validate.MaxDeltaLogP)
	l.Logit, _ = get(scientific, "logit_error_max")
	l.Greedy, _ = get(func(v float64) string { return count(int64(v)) }, "greedy_match")
	if r, ok := rows.Find(d.Rows, engine, "", phase, validate.PPLRatio); ok {
		l.Rows = count(int64(r.N))
	}
	return l
}

// like tells whether a row's name is one with a * for any part.
func like(name, pattern string) bool {
	before, after, open := strings.Cut(pattern, "*")
	return name == pattern || open && strings.HasPrefix(name, before) && strings.HasSuffix(name, after)
}
