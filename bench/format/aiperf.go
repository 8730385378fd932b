package format

import (
	"encoding/json"
	"io"
	"math"
	"slices"

	moremath "github.com/aclements/go-moremath/stats"

	"github.com/trtforge/trtforge/bench"
)

// aiperfSchema is the version of AIPerf's export whose names these are.
const aiperfSchema = "1.4"

// metric is a figure as AIPerf writes it. What has no distribution has avg alone.
type metric struct {
	Unit  string   `json:"unit"`
	Avg   float64  `json:"avg"`
	Min   *float64 `json:"min,omitempty"`
	Max   *float64 `json:"max,omitempty"`
	P1    *float64 `json:"p1,omitempty"`
	P5    *float64 `json:"p5,omitempty"`
	P10   *float64 `json:"p10,omitempty"`
	P25   *float64 `json:"p25,omitempty"`
	P50   *float64 `json:"p50,omitempty"`
	P75   *float64 `json:"p75,omitempty"`
	P90   *float64 `json:"p90,omitempty"`
	P95   *float64 `json:"p95,omitempty"`
	P99   *float64 `json:"p99,omitempty"`
	Std   *float64 `json:"std,omitempty"`
	Count *int     `json:"count,omitempty"`
	Sum   *float64 `json:"sum,omitempty"`
}

// AIPerf writes one object a line for each engine, scenario and mode, with the fields
// of AIPerf's profile_export_aiperf.json (and of GenAI-Perf before it): what a tool
// that reads those wants to find. A request here is one batch: its rows are users at
// once. Names, by AIPerf's reference of metrics: time_to_first_token and
// request_latency are TTFT and E2E, inter_token_latency is TPOT, inter_chunk_latency
// all gaps between tokens, throughput per user is one row's, output_token_throughput
// is over the time of all requests together.
func AIPerf(w io.Writer, r Run) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, g := range groups(r.Samples) {
		if err := e.Encode(aiperf(r, g)); err != nil {
			return err
		}
	}
	return nil
}

// group is the samples of an engine in a scenario and mode.
type group struct {
	all, good []bench.Sample
}

func groups(samples []bench.Sample) []*group {
	type key struct {
		engine, scenario string
		mode             bench.Mode
	}
	at := map[key]*group{}
	var order []*group
	for _, s := range samples {
		k := key{s.Engine, s.Scenario, s.Mode}
		if at[k] == nil {
			at[k] = &group{}
			order = append(order, at[k])
		}
		g := at[k]
		if g.all = append(g.all, s); s.Failure == nil {
			g.good = append(g.good, s)
		}
	}
	return order
}

func (g *group) values(of func(bench.Sample) float64) []float64 {
	var v []float64
	for _, s := range g.good {
		v = append(v, of(s))
	}
	return v
}

func aiperf(r Run, g *group) map[string]any {
	first := g.all[0]
	out := map[string]any{
		"schema_version": aiperfSchema,
		"input_config": map[string]any{
			"engine": first.Engine, "scenario": first.Scenario, "mode": first.Mode, "concurrency": first.Batch,
			"created_by": r.CreatedBy, "cpu": r.Machine.CPU, "gpu": r.Machine.GPU, "threads": r.Machine.Threads,
		},
		"request_count": single("requests", float64(len(g.good))),
	}
	if failed := len(g.all) - len(g.good); failed > 0 {
		out["error_request_count"] = single("requests", float64(failed))
	}
	if len(g.good) == 0 {
		return out
	}
	put := func(name, unit string, of func(bench.Sample) float64) { out[name] = spread(unit, g.values(of)) }
	put("request_latency", "ms", func(s bench.Sample) float64 { return s.E2E })
	put("time_to_first_token", "ms", func(s bench.Sample) float64 { return s.TTFT })
	put("input_sequence_length", "tokens", func(s bench.Sample) float64 { return float64(s.Depth) + float64(s.Prompt())/float64(s.Batch) })
	put("output_sequence_length", "tokens", func(s bench.Sample) float64 { return float64(s.NewTokens) })
	put("prefill_throughput_per_user", "tokens/sec/user", func(s bench.Sample) float64 { return 1000 * float64(s.Prompt()) / float64(s.Batch) / s.TTFT })
	if slices.ContainsFunc(g.good, func(s bench.Sample) bool { return s.NewTokens > 1 }) {
		g := &group{good: slices.DeleteFunc(slices.Clone(g.good), func(s bench.Sample) bool { return s.NewTokens < 2 })}
		out["inter_token_latency"] = spread("ms", g.values(bench.Sample.TPOT))
		out["output_token_throughput_per_user"] = spread("tokens/sec/user", g.values(func(s bench.Sample) float64 { return 1000 / s.TPOT() }))
		var second, gaps []float64
		for _, s := range g.good {
			if len(s.Gaps) > 0 { // not every engine tells of them
				second, gaps = append(second, s.Gaps[0]), append(gaps, s.Gaps...)
			}
		}
		if len(gaps) > 0 {
			out["time_to_second_token"], out["inter_chunk_latency"] = spread("ms", second), spread("ms", gaps)
		}
	}
	took, tokens := 0.0, 0.0
	for _, s := range g.good {
		took += s.E2E / 1000
		tokens += float64(s.Batch * s.NewTokens)
	}
	out["benchmark_duration"] = single("sec", took)
	out["request_throughput"] = single("requests/sec", float64(len(g.good))/took)
	out["output_token_throughput"] = single("tokens/sec", tokens/took)
	return out
}

// linear is a quantile of sorted values by linear interpolation (definition 7 of
// Hyndman and Fan 1996), which AIPerf takes from NumPy.
func linear(sorted []float64, q float64) *float64 {
	at := q * float64(len(sorted)-1)
	i := int(at)
	v := sorted[i]
	if i+1 < len(sorted) {
		v += (at - float64(i)) * (sorted[i+1] - v)
	}
	return &v
}

func single(unit string, v float64) metric { return metric{Unit: unit, Avg: v} }

// spread is a distribution; its standard deviation is the sample's.
func spread(unit string, v []float64) metric {
	sample := moremath.Sample{Xs: slices.Sorted(slices.Values(v)), Sorted: true}
	at := func(q float64) *float64 { return linear(sample.Xs, q) }
	n, sum, std := len(v), sample.Sum(), 0.0
	if n > 1 {
		std = sample.StdDev()
	}
	if math.IsNaN(std) {
		std = 0
	}
	return metric{Unit: unit, Avg: sample.Mean(), Min: at(0), Max: at(1), P1: at(0.01), P5: at(0.05), P10: at(0.1), P25: at(0.25), P50: at(0.5),
		P75: at(0.75), P90: at(0.9), P95: at(0.95), P99: at(0.99), Std: &std, Count: &n, Sum: &sum}
}
