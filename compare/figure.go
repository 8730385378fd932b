package compare

import (
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// Better says in which direction a figure is better.
type Better string

// The directions. A figure without one (a clock, the reference's perplexity) can
// change, but not regress.
const (
	Smaller Better = "smaller"
	Larger  Better = "larger"
	Neither Better = ""
)

// larger are words in the names of figures that are better when larger; neither,
// of figures that are facts about the measurement.
var (
	larger  = []string{"agreement", "greedy_match", "speedup", "coverage"}
	neither = []string{"perplexity_reference", "sm_clock", "dprob_mean", "power"}
	smaller = []string{"perplexity", "ppl_", "kl_", "logit_error", "dlogprob", "delta", "failed", "nonfinite", "overhead"}
)

// direction is that of a row.
func direction(name, unit string) Better {
	switch {
	case has(name, neither):
		return Neither
	case unit == "tok/s" || has(name, larger):
		return Larger
	case unit == "ms" || unit == "s" || unit == "bytes" || unit == "nats" || has(name, smaller):
		return Smaller
	}
	return Neither
}

func has(name string, words []string) bool {
	for _, w := range words {
		if strings.Contains(name, w) {
			return true
		}
	}
	return false
}

// ofMachine tells whether a figure depends on the machine that measured it.
func ofMachine(name, unit string) bool {
	switch unit {
	case "ms", "s", "tok/s", "W", "MHz":
		return true
	}
	return name == bench.Overhead || name == bench.PeakRSS || name == bench.DeviceMemory
}

// ofSample is the value of a figure in one timed request; ok is false where
// requests have none, or this one has not.
func ofSample(r rows.Row, s bench.Sample) (v float64, ok bool) {
	if s.Failure != nil || s.Engine != r.Engine || s.Scenario != r.Scenario {
		return 0, false
	}
	cached := s.Mode == "" || s.Mode == bench.Cached
	if r.Phase == string(bench.Uncached) || r.Phase == string(bench.Chunked) {
		if string(s.Mode) != r.Phase {
			return 0, false
		}
	} else if !cached {
		return 0, false
	}
	switch r.Name {
	case bench.TTFT:
		return s.TTFT, s.TTFT > 0
	case bench.PrefillRate:
		return 1000 * float64(s.Prompt()) / s.TTFT, s.TTFT > 0
	case bench.TPOT:
		return s.TPOT(), s.TPOT() > 0
	case bench.DecodeRate:
		return 1000 * float64(s.Batch) / s.TPOT(), s.TPOT() > 0
	case bench.GapP90:
		gap := stats.Quantile(s.Gaps, 0.9).Value
		return gap, gap > 0
	case bench.E2E:
		return s.E2E, s.E2E > 0
	}
	return 0, false
}
