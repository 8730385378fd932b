package gate

import (
	"fmt"
	"math"

	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// speed judges how much faster an engine is than the engine of another precision
// of its backend: the geometric mean over scenarios of the ratio of median times.
// Times of different backends, and of different machines, are never compared.
func (s spec) speed(v *Verdict, e Engine, engines []Engine, all []rows.Row) {
	base, ok := baseline(e, engines, s.over)
	switch {
	case e.NoSpeed != "":
		v.Reason, v.Exempt = e.NoSpeed, true
	case !ok:
		v.Reason = fmt.Sprintf("no %s engine of backend %s to compare with", s.over, e.Backend)
	case base.NoSpeed != "":
		v.Reason, v.Exempt = fmt.Sprintf("the engine to compare with, %s, is no measure: %s", base.Name, base.NoSpeed), true
	default:
		r, n := Speedup(all, base.Name, e.Name, s.rows[0])
		if n == 0 {
			v.Reason = untimed(e.Name, base.Name, all)
			return
		}
		s.decide(v, r, fmt.Sprintf("%s's median request time over its own, geometric mean of %d scenarios", base.Name, n))
	}
}

// untimed says which scenario of base's an engine has no time in.
func untimed(engine, base string, all []rows.Row) string {
	for _, b := range requestsOf(all, base, "e2e") {
		if _, reason := absent(engine, b.Scenario, all); b.Phase == "" && reason != "" {
			return reason
		}
	}
	return "not measured"
}

// baseline is the engine of that precision that e is compared with.
func baseline(e Engine, engines []Engine, precision string) (Engine, bool) {
	for _, b := range engines {
		if b.comparable(e) && b.Precision == precision && b.Name != e.Name && b.Idle == "" {
			return b, true
		}
	}
	return Engine{}, false
}

// comparable tells whether the times of two engines may stand side by side.
func (e Engine) comparable(o Engine) bool { return e.Backend == o.Backend && e.Group == o.Group }

// Speedup is the geometric mean over base's scenarios of base's median over
// engine's, and how many scenarios those are: 0 where engine lacks one. It is of
// cached runs where base has any, else of the modes that it was measured in.
func Speedup(all []rows.Row, base, engine, name string) (rows.Row, int) {
	var ratios []rows.Row
	for _, b := range requestsOf(all, base, name) {
		e, ok := rows.Find(all, engine, b.Scenario, b.Phase, name)
		if !ok || !(b.Value > 0) || !(e.Value > 0) {
			return rows.Row{}, 0 // a mean without its worst scenario would flatter
		}
		ratios = append(ratios, Ratio(b, e))
	}
	mean := geometric(ratios, nil)
	mean.Engine, mean.Name = engine, "speedup"
	return mean, len(ratios)
}

// requestsOf are an engine's rows of that name by scenario: of cached runs, which
// have no phase, or without any of the other modes.
func requestsOf(all []rows.Row, engine, name string) []rows.Row {
	var cached, others []rows.Row
	for _, r := range all {
		switch {
		case r.Engine != engine || r.Name != name || r.Scenario == "":
		case r.Phase == "":
			cached = append(cached, r)
		default:
			others = append(others, r)
		}
	}
	if cached == nil {
		return others
	}
	return cached
}

// Ratio is one row's value over another's with a 95 % interval. Where both have
// their samples it is that of the ratio of their medians, which draws from both;
// else the intervals of both are joined.
func Ratio(a, b rows.Row) rows.Row {
	s := stats.RatioOfSummaries(summary(a), summary(b))
	if len(a.Samples) > 1 && len(b.Samples) > 1 {
		s = stats.RatioOfMedians(a.Samples, b.Samples, ratioSeed)
	}
	return rows.Row{Engine: b.Engine, Scenario: b.Scenario, Phase: b.Phase, Name: "ratio", Unit: "x",
		Value: s.Value, Lo: s.Lo, Hi: s.Hi, N: s.N, Warnings: s.Warnings}
}

func summary(r rows.Row) stats.Summary {
	return stats.Summary{Value: r.Value, Lo: r.Lo, Hi: r.Hi, N: r.N}
}

// ratioSeed is of the draws behind the interval of a ratio, so that the same
// samples always give the same verdict.
const ratioSeed = 1

// geometric is the geometric mean of independent figures, by weight where weights
// are given. Its interval joins theirs on the logarithmic scale by the squares of
// the distances of their ends (MOVER: Zou and Donner, Statistics in Medicine 27,
// 2008), which covers what each covers and is not as wide as all at their worst.
func geometric(all []rows.Row, weights []float64) rows.Row {
	var sum, low, high, weight float64
	for i, r := range all {
		w := 1.0
		if weights != nil {
			w = weights[i]
		}
		x, lo, hi := logs(r)
		sum, weight = sum+w*x, weight+w
		low, high = math.Hypot(low, w*(x-lo)), math.Hypot(high, w*(hi-x))
	}
	if weight == 0 {
		return rows.Row{Unit: "x", Value: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
	}
	return rows.Row{Unit: "x", N: len(all), Value: math.Exp(sum / weight),
		Lo: math.Exp((sum - low) / weight), Hi: math.Exp((sum + high) / weight)}
}

// logs are the logarithms of a positive figure and of the ends of its interval.
func logs(r rows.Row) (value, lo, hi float64) {
	return math.Log(r.Value), math.Log(math.Max(r.Lo, 0)), math.Log(r.Hi)
}
