package format

import (
	"encoding/json"
	"io"
	"math"
	"time"

	moremath "github.com/aclements/go-moremath/stats"

	"github.com/trtforge/trtforge/bench"
)

// test is a result as llama-bench's -o json writes it, as far as its fields mean
// something here.
type test struct {
	BuildCommit   string    `json:"build_commit"`
	BuildNumber   int       `json:"build_number"`
	CPU           string    `json:"cpu_info"`
	GPU           string    `json:"gpu_info"`
	Backends      string    `json:"backends"`
	ModelFilename string    `json:"model_filename"`
	ModelType     string    `json:"model_type"`
	ModelSize     int64     `json:"model_size"`
	Batch         int       `json:"n_batch"`
	UBatch        int       `json:"n_ubatch"`
	Threads       int       `json:"n_threads"`
	Prompt        int       `json:"n_prompt"`
	Gen           int       `json:"n_gen"`
	Depth         int       `json:"n_depth"`
	Time          string    `json:"test_time"`
	AvgNS         int64     `json:"avg_ns"`
	StdNS         int64     `json:"stddev_ns"`
	AvgTS         float64   `json:"avg_ts"`
	StdTS         float64   `json:"stddev_ts"`
	SamplesNS     []int64   `json:"samples_ns"`
	SamplesTS     []float64 `json:"samples_ts"`
}

// LlamaBench writes a list of two tests for each engine and scenario, as llama-bench
// does: pp, the prompt of n_prompt tokens behind n_depth (here TTFT, which has the
// choice of the token in it), and tg, the n_gen tokens that follow one by one behind
// depth and prompt. Rates count the tokens of all rows of the batch. Averages are
// means with the sample's standard deviation, llama-bench's way, not medians.
// n_ubatch is the tokens of a pass. Requests of the mode uncached are left out:
// llama-bench has none.
func LlamaBench(w io.Writer, r Run) error {
	tests := []test{}
	for _, g := range groups(r.Samples) {
		if len(g.good) > 0 && g.good[0].Mode != bench.Uncached {
			tests = append(tests, llama(r, g)...)
		}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(tests)
}

func llama(r Run, g *group) []test {
	s := g.good[0]
	engine := r.engine(s.Engine)
	base := test{
		BuildCommit: r.CreatedBy, CPU: r.Machine.CPU, GPU: r.Machine.GPU, Backends: engine.Backend, ModelFilename: engine.File,
		ModelType: s.Engine, ModelSize: engine.Bytes, Batch: s.Batch * s.PromptTokens, UBatch: s.Batch * s.PromptTokens,
		Threads: r.Machine.Threads, Time: r.Created.UTC().Format(time.RFC3339),
	}
	if s.Mode == bench.Chunked {
		base.UBatch = s.Batch * s.Chunk
	}
	pp := base
	pp.Prompt, pp.Depth = s.PromptTokens, s.Depth
	pp.fill(g, func(s bench.Sample) (ms, tokens float64) { return s.TTFT, float64(s.Prompt()) })
	if s.NewTokens < 2 {
		return []test{pp}
	}
	tg := base
	tg.Gen, tg.Depth = s.NewTokens-1, s.Depth+s.PromptTokens
	tg.fill(g, func(s bench.Sample) (ms, tokens float64) { return s.E2E - s.TTFT, float64(s.Batch * (s.NewTokens - 1)) })
	return []test{pp, tg}
}

// fill puts in the figures of a part of the requests.
func (t *test) fill(g *group, of func(bench.Sample) (ms, tokens float64)) {
	var ns, ts []float64
	for _, s := range g.good {
		ms, tokens := of(s)
		if ms <= 0 {
			continue
		}
		ns, ts = append(ns, ms*1e6), append(ts, 1000*tokens/ms)
		t.SamplesNS = append(t.SamplesNS, int64(math.Round(ms*1e6)))
	}
	t.SamplesTS = ts
	mean := func(v []float64) (avg, std float64) {
		s := moremath.Sample{Xs: v}
		if len(v) > 1 {
			std = s.StdDev()
		}
		if len(v) > 0 {
			avg = s.Mean()
		}
		return avg, std
	}
	avg, std := mean(ns)
	t.AvgNS, t.StdNS = int64(math.Round(avg)), int64(math.Round(std))
	t.AvgTS, t.StdTS = mean(ts)
}
