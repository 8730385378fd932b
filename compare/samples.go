package compare

import (
	"fmt"
	"maps"
	"slices"

	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// observation is a figure in one request; round is -1 where nobody kept it.
type observation struct {
	round int
	value float64
}

// observations are the raw measurements behind a row, in the order they were taken:
// those of samples.jsonl, else the row's own.
func (r *Results) observations(row rows.Row) []observation {
	var all []observation
	for _, s := range r.Samples {
		if v, ok := ofSample(row, s); ok {
			all = append(all, observation{s.Round, v})
		}
	}
	if len(all) > 0 {
		return all
	}
	for _, v := range row.Samples {
		all = append(all, observation{-1, v})
	}
	return all
}

func positive(all []observation) bool {
	return !slices.ContainsFunc(all, func(o observation) bool { return !(o.value > 0) || notFinite(o.value) })
}

func values(all []observation) []float64 {
	var out []float64
	for _, o := range all {
		out = append(out, o.value)
	}
	return out
}

// rounds are the values of each round.
func rounds(all []observation) map[int][]float64 {
	out := map[int][]float64{}
	for _, o := range all {
		if o.round >= 0 {
			out[o.round] = append(out[o.round], o.value)
		}
	}
	return out
}

// medians are the medians of the rounds, in their order.
func medians(by map[int][]float64) (all []float64) {
	for _, round := range slices.Sorted(maps.Keys(by)) {
		all = append(all, stats.Median(by[round]).Value)
	}
	return all
}

// leastRounds is the least number of rounds that are compared round by round.
const leastRounds = 6

// test compares raw samples.
func (j judge) test(c *Change, old, now []observation) {
	before, after := values(old), values(now)
	delta := rows.Number(stats.CliffsDelta(after, before))
	c.Delta = &delta
	oldRounds, newRounds := rounds(old), rounds(now)
	if j.paired && len(oldRounds) > 0 && len(newRounds) > 0 {
		shared := common(oldRounds, newRounds)
		if len(shared) >= leastRounds {
			j.pairs(c, oldRounds, newRounds, shared)
			return
		}
		c.warn("%d rounds measured both, of %d that make pairs: compared as if they were independent", len(shared), leastRounds)
	}
	// Requests of one round share their process and their moment. Where that shows,
	// the rounds are the samples.
	if drifted(oldRounds) || drifted(newRounds) {
		if len(oldRounds) >= leastRounds && len(newRounds) >= leastRounds {
			before, after = medians(oldRounds), medians(newRounds)
			c.warn("rounds differ by more than the requests in them: the median of each is the sample")
		} else {
			c.warn("rounds differ by more than the requests in them, and there are fewer than %d: the interval is too narrow", leastRounds)
		}
	}
	ratio := stats.RatioOfMedians(after, before, j.Seed)
	test := stats.MannWhitney(after, before)
	name := "Mann-Whitney"
	if j.Permutation {
		test, name = stats.Permutation(after, before, j.Seed), "permutation"
		ratio = stats.RatioOfMeans(after, before, j.Seed)
	}
	c.tested(ratio, test, name)
}

// pairs compares round by round: the interval is that of the rounds' medians, the
// test, where rounds have several requests, lets those change sides in their round.
func (j judge) pairs(c *Change, old, now map[int][]float64, shared []int) {
	c.Pairs = len(shared)
	var a, b [][]float64
	before, after := map[int][]float64{}, map[int][]float64{}
	for _, round := range shared {
		a, b = append(a, now[round]), append(b, old[round])
		before[round], after[round] = old[round], now[round]
	}
	x, y := medians(after), medians(before)
	test, name := stats.Wilcoxon(x, y), "Wilcoxon"
	switch {
	case repeated(before) || repeated(after):
		test, name = stats.BlockPermutation(a, b, j.Seed), "inside rounds"
	case j.Permutation:
		test, name = stats.PairedPermutation(x, y, j.Seed), "paired permutation"
	}
	c.tested(stats.PairedRatio(x, y), test, name)
}

// tested notes what a test gave.
func (c *Change) tested(ratio stats.Summary, test stats.Test, name string) {
	p := rows.Number(test.P)
	c.Ratio, c.P = figure(ratio), &p
	c.Test = fmt.Sprintf("%s, %s", name, test.Method)
	c.Warnings = append(append(c.Warnings, ratio.Warnings...), test.Warnings...)
	switch {
	case ratio.N == 1:
		c.warn("one sample on a side decides nothing")
	case ratio.Lo == ratio.Hi && len(test.Warnings) == 0:
		c.warn("the samples of each side are all equal: the clock is too coarse, or they are not measurements")
	}
}

// common are the rounds that both sides have.
func common(old, now map[int][]float64) (shared []int) {
	for _, round := range slices.Sorted(maps.Keys(old)) {
		if len(now[round]) > 0 {
			shared = append(shared, round)
		}
	}
	return shared
}

// repeated tells whether a round has more than one request.
func repeated(by map[int][]float64) bool {
	for _, values := range by {
		if len(values) > 1 {
			return true
		}
	}
	return false
}

// drifted tells whether the rounds of a side differ among themselves by more than
// the requests inside them do.
func drifted(by map[int][]float64) bool {
	if len(by) < 2 || !repeated(by) {
		return false
	}
	var groups [][]float64
	for _, round := range slices.Sorted(maps.Keys(by)) {
		groups = append(groups, by[round])
	}
	return stats.KruskalWallis(groups...).P < alpha
}
