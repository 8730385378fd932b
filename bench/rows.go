package bench

import (
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// The names of the rows that Rows makes. Those of time are in ms, rates in tok/s.
// Phases are those of a cached run; all that is about requests of another mode has
// the mode as its phase.
const (
	TTFT         = "ttft"          // phase prefill
	TTFTP90      = "ttft_p90"      // phase prefill
	TTFTP99      = "ttft_p99"      // phase prefill; from 100 requests on
	PrefillRate  = "prefill_tok_s" // phase prefill
	TPOT         = "tpot"          // phase decode
	GapP90       = "itl_p90"       // phase decode: median over requests of the 90 % quantile of gaps between tokens
	GapP99       = "itl_p99"       // phase decode: the 99 % quantile of all gaps of all requests, from 100 gaps on
	DecodeRate   = "decode_tok_s"  // phase decode
	E2E          = "e2e"
	E2EP99       = "e2e_p99"       // from 100 requests on
	PeakRSS      = "peak_rss"      // bytes: the peak of a turn, of the turn where it was least
	DeviceMemory = "device_memory" // bytes, of the process on the GPU
	Power        = "power"         // W, of the GPU
	SMClock      = "sm_clock"      // MHz, of the GPU
	Overhead     = "loop_overhead" // share of E2E outside the engine's runs
	Failed       = "failed"        // requests that gave no time; a warning for each class
	Load         = "load"          // of the engine as a whole: opening it
	Build        = "build"         // likewise, by its manifest
)

// The phases that rows are about, beside the modes [Uncached] and [Chunked].
const (
	Prefill = "prefill"
	Decode  = "decode"
)

// tailFrom is the least number of requests, or gaps, of which a 99 % quantile is made;
// below 368 it has no interval and says so.
const tailFrom = 100

// Rows summarises samples, engine by engine, scenario by scenario and mode by mode
// in order of their first appearance, then each engine's time to load.
func Rows(samples []Sample) []rows.Row {
	type key struct {
		engine, scenario string
		mode             Mode
	}
	groups := map[key][]Sample{}
	var order []key
	for _, s := range samples {
		k := key{s.Engine, s.Scenario, s.Mode}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	var all []rows.Row
	for _, k := range order {
		all = append(all, group(groups[k])...)
	}
	return append(all, loads(samples)...)
}

// loads gives a row for each engine that was opened.
func loads(samples []Sample) []rows.Row {
	took := map[string][]float64{}
	var order []string
	for _, s := range samples {
		if s.Load <= 0 {
			continue
		}
		if took[s.Engine] == nil {
			order = append(order, s.Engine)
		}
		took[s.Engine] = append(took[s.Engine], s.Load)
	}
	var all []rows.Row
	for _, engine := range order {
		s := stats.Median(took[engine])
		all = append(all, rows.Row{Engine: engine, Name: Load, Unit: "ms", Value: s.Value, Lo: s.Lo, Hi: s.Hi, N: s.N,
			Samples: took[engine], Warnings: s.Warnings})
	}
	return all
}

// phase is the phase of rows about a part of requests.
func (m Mode) phase(part string) string {
	if m == "" || m == Cached {
		return part
	}
	return string(m)
}

// adder takes a figure of a group of samples.
type adder func(part, name, unit string, s stats.Summary, raw []float64)

// group gives the rows of one engine in one scenario and mode.
func group(samples []Sample) []rows.Row {
	var good []Sample
	failures := map[Class][]string{}
	for _, s := range samples {
		if s.Failure != nil {
			failures[s.Failure.Class] = append(failures[s.Failure.Class], s.Failure.Cause)
		} else {
			good = append(good, s)
		}
	}
	first, doubts := samples[0], doubts(good)
	var all []rows.Row
	add := func(part, name, unit string, s stats.Summary, raw []float64) {
		all = append(all, rows.Row{Engine: first.Engine, Scenario: first.Scenario, Phase: first.Mode.phase(part), Name: name, Unit: unit,
			Value: s.Value, Lo: s.Lo, Hi: s.Hi, N: s.N, Samples: raw, Warnings: slices.Concat(s.Warnings, doubts)})
	}
	if len(good) > 0 {
		times(good, add)
		use(good, add)
	}
	failed := rows.Exact(first.Engine, Failed, "1", float64(len(samples)-len(good)))
	failed.Scenario, failed.Phase, failed.N, failed.Warnings = first.Scenario, first.Mode.phase(""), len(samples), describe(failures)
	return append(all, failed)
}

// times adds the rows of requests that succeeded.
func times(good []Sample, add adder) {
	ttft := each(good, func(s Sample) float64 { return s.TTFT })
	add(Prefill, TTFT, "ms", stats.Median(ttft), ttft)
	add(Prefill, TTFTP90, "ms", stats.Quantile(ttft, 0.9), nil)
	if len(ttft) >= tailFrom {
		add(Prefill, TTFTP99, "ms", stats.Quantile(ttft, 0.99), nil)
	}
	rate := each(good, func(s Sample) float64 { return 1000 * float64(s.Prompt()) / s.TTFT })
	add(Prefill, PrefillRate, "tok/s", stats.Median(rate), nil)
	decodes := slices.DeleteFunc(slices.Clone(good), func(s Sample) bool { return s.NewTokens < 2 })
	if len(decodes) > 0 {
		tpot := each(decodes, Sample.TPOT)
		add(Decode, TPOT, "ms", stats.Median(tpot), tpot)
		// Gaps of one request are not independent, so the sample is the request.
		tails := each(decodes, func(s Sample) float64 { return stats.Quantile(s.Gaps, 0.9).Value })
		add(Decode, GapP90, "ms", stats.Median(tails), nil)
		if gaps := gapsOf(decodes); gaps != nil {
			add(Decode, GapP99, "ms", stats.GroupedQuantile(gaps, 0.99), nil)
		}
		rate := each(decodes, func(s Sample) float64 { return 1000 * float64(s.Batch) / s.TPOT() })
		add(Decode, DecodeRate, "tok/s", stats.Median(rate), nil)
	}
	e2e := each(good, func(s Sample) float64 { return s.E2E })
	add("", E2E, "ms", stats.Median(e2e), e2e)
	if len(e2e) >= tailFrom {
		add("", E2EP99, "ms", stats.Quantile(e2e, 0.99), nil)
	}
}

// gapsOf are the gaps between tokens, those of each request; nil where they are
// fewer than a 99 % quantile is made of.
func gapsOf(decodes []Sample) (all [][]float64) {
	n := 0
	for _, s := range decodes {
		all = append(all, s.Gaps)
		n += len(s.Gaps)
	}
	if n < tailFrom {
		return nil
	}
	return all
}

// use adds the rows of what requests needed beside time. What nobody measured has
// no row.
func use(good []Sample, add adder) {
	for _, f := range []struct {
		name string
		of   func(Sample) float64
	}{
		{PeakRSS, func(s Sample) float64 { return float64(s.PeakRSS) }},
		{DeviceMemory, func(s Sample) float64 { return float64(s.DeviceMemory) }},
	} {
		if peak := leastTurn(good, f.of); peak > 0 {
			add("", f.name, "bytes", stats.Summary{Value: peak, Lo: peak, Hi: peak, N: len(good)}, nil)
		}
	}
	median := func(name, unit string, of func(Sample) float64, ok func(Sample) bool) {
		if v := each(slices.DeleteFunc(slices.Clone(good), func(s Sample) bool { return !ok(s) }), of); len(v) > 0 {
			add("", name, unit, stats.Median(v), nil)
		}
	}
	median(Power, "W", func(s Sample) float64 { return s.Power }, func(s Sample) bool { return s.Power > 0 })
	median(SMClock, "MHz", func(s Sample) float64 { return s.Clock }, func(s Sample) bool { return s.Clock > 0 })
	share := func(s Sample) float64 { v, _ := s.Overhead(); return v }
	median(Overhead, "1", share, func(s Sample) bool { _, ok := s.Overhead(); return ok })
}

// leastTurn is the most of a figure in a turn, of the turn where that was least: the
// rest is what other scenarios left in the runtime's arena before.
func leastTurn(samples []Sample, of func(Sample) float64) float64 {
	most := map[int]float64{}
	for _, s := range samples {
		most[s.Round] = max(most[s.Round], of(s))
	}
	return slices.Min(slices.Collect(maps.Values(most)))
}

func each(samples []Sample, f func(Sample) float64) []float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, f(s))
	}
	return values
}

// doubts are what the samples say of the machine, each once with how many said it.
func doubts(samples []Sample) []string {
	count := map[string]int{}
	for _, s := range samples {
		for _, w := range s.Warnings {
			count[w]++
		}
	}
	var lines []string
	for w, n := range count {
		lines = append(lines, fmt.Sprintf("%s (%d of %d requests)", w, n, len(samples)))
	}
	sort.Strings(lines)
	return lines
}

// describe is one line a class of failure: how many, and the first cause.
func describe(failures map[Class][]string) []string {
	var lines []string
	for class, causes := range failures {
		lines = append(lines, fmt.Sprintf("%s (%d): %s", class, len(causes), causes[0]))
	}
	sort.Strings(lines)
	return lines
}
