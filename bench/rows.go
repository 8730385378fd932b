package bench

import (
	"fmt"
	"sort"

	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// The names of the rows that Rows makes. Those of time are in ms, rates in tok/s.
const (
	TTFT        = "ttft"          // phase prefill
	TTFTP90     = "ttft_p90"      // phase prefill
	PrefillRate = "prefill_tok_s" // phase prefill
	TPOT        = "tpot"          // phase decode
	GapP90      = "itl_p90"       // phase decode: median over requests of the 90 % quantile of gaps between tokens
	DecodeRate  = "decode_tok_s"  // phase decode
	E2E         = "e2e"
	PeakRSS     = "peak_rss" // bytes
	Failed      = "failed"   // requests that gave no time; a warning for each class
)

// The phases that rows are about.
const (
	Prefill = "prefill"
	Decode  = "decode"
)

// Rows summarises samples, engine by engine and scenario by scenario in order of
// their first appearance.
func Rows(samples []Sample) []rows.Row {
	type key struct{ engine, scenario string }
	groups := map[key][]Sample{}
	var order []key
	for _, s := range samples {
		k := key{s.Engine, s.Scenario}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s)
	}
	var all []rows.Row
	for _, k := range order {
		all = append(all, group(groups[k])...)
	}
	return all
}

// group gives the rows of one engine in one scenario.
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
	first := samples[0]
	var all []rows.Row
	add := func(phase, name, unit string, s stats.Summary, raw []float64) {
		all = append(all, rows.Row{Engine: first.Engine, Scenario: first.Scenario, Phase: phase, Name: name, Unit: unit,
			Value: s.Value, Lo: s.Lo, Hi: s.Hi, N: s.N, Samples: raw, Warnings: s.Warnings})
	}
	if len(good) > 0 {
		times(good, add)
	}
	failed := rows.Exact(first.Engine, Failed, "1", float64(len(samples)-len(good)))
	failed.Scenario, failed.N, failed.Warnings = first.Scenario, len(samples), describe(failures)
	return append(all, failed)
}

// times adds the rows of requests that succeeded.
func times(good []Sample, add func(phase, name, unit string, s stats.Summary, raw []float64)) {
	first := good[0]
	ttft := each(good, func(s Sample) float64 { return s.TTFT })
	add(Prefill, TTFT, "ms", stats.Median(ttft), ttft)
	add(Prefill, TTFTP90, "ms", stats.Quantile(ttft, 0.9), nil)
	tokens := float64(first.Batch * first.PromptTokens)
	rate := each(good, func(s Sample) float64 { return 1000 * tokens / s.TTFT })
	add(Prefill, PrefillRate, "tok/s", stats.Median(rate), nil)
	if first.NewTokens > 1 {
		tpot := each(good, Sample.TPOT)
		add(Decode, TPOT, "ms", stats.Median(tpot), tpot)
		// Gaps of one request are not independent, so the sample is the request.
		tails := each(good, func(s Sample) float64 { return stats.Quantile(s.Gaps, 0.9).Value })
		add(Decode, GapP90, "ms", stats.Median(tails), nil)
		rate := each(good, func(s Sample) float64 { return 1000 * float64(s.Batch) / s.TPOT() })
		add(Decode, DecodeRate, "tok/s", stats.Median(rate), nil)
	}
	e2e := each(good, func(s Sample) float64 { return s.E2E })
	add("", E2E, "ms", stats.Median(e2e), e2e)
	peak := int64(0)
	for _, s := range good {
		peak = max(peak, s.PeakRSS)
	}
	if peak > 0 {
		p := float64(peak)
		add("", PeakRSS, "bytes", stats.Summary{Value: p, Lo: p, Hi: p, N: len(good)}, nil)
	}
}

func each(samples []Sample, f func(Sample) float64) []float64 {
	var values []float64
	for _, s := range samples {
		values = append(values, f(s))
	}
	return values
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
