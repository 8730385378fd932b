package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Group is what two systems gave at one size (parameters of a model, tokens of a
// prompt): positive samples of one unit, one or more each.
type Group struct {
	Size float64
	A, B []float64
}

// ratio is the median of A over that of B.
func (g Group) ratio() float64 {
	return medianOf(slices.Sorted(slices.Values(g.A))) / medianOf(slices.Sorted(slices.Values(g.B)))
}

// redrawn is the group with its samples drawn anew. A side of one sample stays.
func (g Group) redrawn(r *rand.Rand) Group {
	again := func(values []float64) []float64 {
		if len(values) == 1 {
			return values
		}
		out := make([]float64, len(values))
		for i := range out {
			out[i] = values[r.IntN(len(values))]
		}
		return out
	}
	return Group{Size: g.Size, A: again(g.A), B: again(g.B)}
}

// Crossing is the size at which two systems are equal.
type Crossing struct {
	At  Summary // N counts groups
	Law Law     // A over B against the size; empty for Between
	// Beyond is set where At lies outside of the sizes that were measured.
	Beyond bool
}

// checked are the groups by size; every one has samples, all positive.
func checked(groups []Group) ([]Group, error) {
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(a, b Group) int {
		switch {
		case a.Size < b.Size:
			return -1
		case a.Size > b.Size:
			return 1
		}
		return 0
	})
	for i, g := range groups {
		if s, bad := unfitRatio(g.A, g.B); bad {
			return nil, fmt.Errorf("size %g: %s", g.Size, s.Warnings[0])
		}
		if i > 0 && g.Size == groups[i-1].Size {
			return nil, fmt.Errorf("size %g comes twice", g.Size)
		}
	}
	return groups, nil
}

// Crossover is the size at which the ratio A/B, a power law of the size, is 1. Its
// interval is a percentile bootstrap over groups, drawn with replacement from five
// on, and over the samples inside each; the way of the study that trtforge answers.
// (BCa leans on a jackknife of so few groups, which one group can turn over.)
func Crossover(groups []Group, resamples int, seed uint64) (Crossing, error) {
	groups, err := checked(groups)
	if err != nil {
		return Crossing{}, err
	}
	x, y := make([]float64, len(groups)), make([]float64, len(groups))
	for i, g := range groups {
		x[i], y[i] = g.Size, g.ratio()
	}
	law, err := PowerLaw(x, y, seed)
	if err != nil {
		return Crossing{}, err
	}
	f, err := newFit(x, y)
	if err != nil {
		return Crossing{}, err
	}
	zero := func(f *fit, draw []int) (at, slope float64) {
		c, k := f.line(draw)
		return math.Exp(-c / k), k
	}
	at, slope := zero(f, whole(len(groups)))
	out := Crossing{At: Summary{Value: at, N: len(groups)}, Law: law, Beyond: !(x[0] <= at && at <= x[len(x)-1])}
	if many := slices.ContainsFunc(groups, Group.repeated); len(groups) < leastPoints && !many {
		out.At = out.At.without(fmt.Sprintf("%d of at least %d sizes, with one sample each", len(groups), leastPoints))
		return out, nil
	}
	var sizes []float64
	turned, r := 0, source(seed)
	draw, again := whole(len(groups)), &fit{x: f.x, y: make([]float64, len(groups))}
	for range orDefault(resamples) {
		if len(groups) >= leastPoints {
			redraw(draw, len(groups), r)
		}
		for i, g := range groups {
			again.y[i] = f.y[i]
			if g.repeated() {
				again.y[i] = math.Log(g.redrawn(r).ratio())
			}
		}
		size, k := zero(again, draw)
		if math.IsNaN(size) || k*slope <= 0 {
			turned++
			continue
		}
		sizes = append(sizes, size)
	}
	if float64(turned) > tail*float64(turned+len(sizes)) {
		out.At = out.At.without(fmt.Sprintf("in %d of %d resamples the ratio does not change with the size as it does in all", turned, turned+len(sizes)))
		return out, nil
	}
	slices.Sort(sizes)
	out.At = out.At.percentile(sizes)
	if len(groups) < leastPoints {
		out.At.Warnings = append(out.At.Warnings, fmt.Sprintf("the interval knows of the samples' spread only: %d of at least %d sizes", len(groups), leastPoints))
	}
	if out.Beyond {
		out.At.Warnings = append(out.At.Warnings, fmt.Sprintf("beyond the measured sizes, %g to %g", x[0], x[len(x)-1]))
	}
	return out, nil
}

// repeated tells whether a side has more than one sample.
func (g Group) repeated() bool { return len(g.A) > 1 || len(g.B) > 1 }

// Between are the crossings between neighbouring sizes, where A/B passes 1,
// interpolated in logarithms: no law is assumed, and two sizes are enough. Intervals
// come from drawing the samples of each size anew; a size with fewer than six on a
// side leaves none.
func Between(groups []Group, resamples int, seed uint64) ([]Crossing, error) {
	groups, err := checked(groups)
	if err != nil {
		return nil, err
	}
	logs := make([]float64, len(groups))
	few := false
	for i, g := range groups {
		logs[i] = math.Log(g.ratio())
		few = few || min(len(g.A), len(g.B)) < LeastSamples(0.5)
	}
	var out []Crossing
	for _, at := range passes(groups, logs) {
		out = append(out, Crossing{At: Summary{Value: at, N: len(groups)}})
	}
	if few || len(out) == 0 {
		for i := range out {
			out[i].At = out[i].At.without(fmt.Sprintf("fewer than %d samples at a size", LeastSamples(0.5)))
		}
		return out, nil
	}
	drawn := make([][]float64, len(out))
	lost, r := 0, source(seed)
	for range orDefault(resamples) {
		for i, g := range groups {
			logs[i] = math.Log(g.redrawn(r).ratio())
		}
		all := passes(groups, logs)
		if len(all) == 0 {
			lost++
			continue
		}
		for i := range out {
			drawn[i] = append(drawn[i], nearest(all, out[i].At.Value))
		}
	}
	for i := range out {
		if float64(lost) > tail*float64(orDefault(resamples)) {
			out[i].At = out[i].At.without(fmt.Sprintf("%d of %d resamples do not cross at all", lost, orDefault(resamples)))
			continue
		}
		slices.Sort(drawn[i])
		out[i].At = out[i].At.percentile(drawn[i])
	}
	return out, nil
}

// passes are the sizes at which the broken line through (log size, logs) is 0.
func passes(groups []Group, logs []float64) (at []float64) {
	for i := range logs {
		if logs[i] == 0 {
			at = append(at, groups[i].Size)
		}
		if i+1 < len(logs) && logs[i]*logs[i+1] < 0 {
			share := logs[i] / (logs[i] - logs[i+1])
			a, b := math.Log(groups[i].Size), math.Log(groups[i+1].Size)
			at = append(at, math.Exp(a+share*(b-a)))
		}
	}
	return at
}

// nearest is the one of sizes that is least factors away.
func nearest(sizes []float64, from float64) float64 {
	best := sizes[0]
	for _, s := range sizes[1:] {
		if math.Abs(math.Log(s/from)) < math.Abs(math.Log(best/from)) {
			best = s
		}
	}
	return best
}

// BreakEven is after how many tokens an engine has earned what it cost to build:
// build over what each token saves, in the unit of the samples (ms a token of the
// slow and the fast one). It is +Inf where it saves nothing, and an end of the
// interval is +Inf where the shift's interval holds that.
func BreakEven(build float64, slow, fast []float64) Summary {
	s := HodgesLehmann(slow, fast)
	tokens := func(saved float64) float64 {
		switch {
		case math.IsNaN(saved):
			return saved
		case saved <= 0:
			return math.Inf(1)
		}
		return build / saved
	}
	out := Summary{Value: tokens(s.Value), N: s.N, Lo: math.Inf(-1), Hi: math.Inf(1), Warnings: s.Warnings}
	if s.HasInterval() {
		out.Lo, out.Hi = tokens(s.Hi), tokens(s.Lo)
	}
	if math.IsInf(out.Value, 1) {
		out.Warnings = append(out.Warnings, "it saves no time")
	}
	return out
}
