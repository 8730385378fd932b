package gate

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/rows"
)

// a spec is a kind of limit and where its figure is found.
type spec struct {
	name     string
	rows     []string // names of the row, the first that there is counts; a * stands for any part
	what     string   // the figure in words
	phases   []string
	min      bool   // the figure must be at least the limit; else at most
	bound    bool   // the end of its interval that is nearer to the limit is held against it
	worst    bool   // the row is one of each scenario, and the worst is held
	over     string // the figure is the time of the backend's engine of that precision over its own, see speed.go
	measured bool   // two runs of one engine need not share it
}

var (
	both  = []string{"prefill", "decode"}
	whole = []string{""}
)

// specs are all gates there are, in the order in which they are judged. A new one
// is a new line.
var specs = []spec{
	{name: "ppl_ratio_max", rows: []string{"ppl_ratio"}, what: "perplexity over PyTorch FP32's", phases: both},
	{name: "ppl_ratio_hi_max", rows: []string{"ppl_ratio"}, what: "upper end of perplexity over PyTorch FP32's", phases: both, bound: true},
	{name: "kl_mean_max", rows: []string{"kl_full_mean", "kl_top*_mean"}, what: "mean KL divergence from PyTorch FP32, nats a token", phases: both},
	{name: "kl_p99_max", rows: []string{"kl_full_p99", "kl_top*_p99"}, what: "99 % quantile of the KL divergence from PyTorch FP32, nats a token", phases: both},
	{name: "top1_min", rows: []string{"top1_agreement"}, what: "share of tokens with PyTorch FP32's most likely successor", phases: both, min: true},
	{name: "top5_min", rows: []string{"top5_agreement"}, what: "share of PyTorch FP32's five most likely successors", phases: both, min: true},
	{name: "logit_error_max", rows: []string{"logit_error_max"}, what: "largest error of a logit", phases: both},
	{name: "greedy_match_min", rows: []string{"greedy_match"}, what: "tokens of greedy text that are PyTorch FP32's", phases: []string{"decode"}, min: true},
	{name: "speedup_min", rows: []string{"e2e"}, phases: whole, min: true, over: "fp32", measured: true},
	{name: "speedup_over_fp16_min", rows: []string{"e2e"}, phases: whole, min: true, over: "fp16", measured: true},
	{name: "bytes_max", rows: []string{"engine_bytes"}, what: "size of the engine, bytes", phases: whole},
	{name: "memory_max", rows: []string{"device_memory", "peak_rss"}, what: "most memory while it ran, bytes", phases: whole, worst: true, measured: true},
	{name: "ttft_max", rows: []string{"ttft"}, what: "median time to first token, ms", phases: []string{"prefill"}, worst: true, measured: true},
	{name: "tpot_max", rows: []string{"tpot"}, what: "median time per output token, ms", phases: []string{"decode"}, worst: true, measured: true},
}

// note is what to know about the engine's figures of this kind.
func (s spec) note(e Engine) string {
	if s.over == "" && (!s.measured || s.name == "memory_max") {
		return ""
	}
	return e.Note
}

// judge fills in the rest of a verdict on an engine that was run.
func (s spec) judge(v *Verdict, e Engine, engines []Engine, all []rows.Row) {
	if s.over != "" {
		s.speed(v, e, engines, all)
		return
	}
	r, ok := s.find(all, e.Name, v.Phase)
	if !ok {
		v.Reason = "not measured"
		return
	}
	v.Scenario = r.Scenario
	s.decide(v, r, s.what)
}

// decide holds a figure against the limit. NaN passes nothing.
func (s spec) decide(v *Verdict, r rows.Row, what string) {
	v.Value, v.Lo, v.Hi, v.Status = r.Value, r.Lo, r.Hi, Fail
	held, sign, far := r.Value, "at most", r.Hi > v.Limit
	if s.min {
		sign, far = "at least", r.Lo < v.Limit
	}
	if s.bound {
		held = r.Hi
		if s.min {
			held = r.Lo
		}
		v.Value = held
	}
	if s.min && held >= v.Limit || !s.min && held <= v.Limit {
		v.Status = Pass
	}
	if r.Scenario != "" {
		what += " in " + r.Scenario + ", the worst scenario"
	}
	v.Evidence = fmt.Sprintf("%s: %.6g, asked %s %g", what, held, sign, v.Limit)
	if v.Status == Pass && far && !s.bound {
		v.Evidence += "; the 95 % interval reaches beyond the limit"
	}
}

// find is the row of that engine and phase that the limit is about: the first
// about the engine as a whole, or the worst of all scenarios.
func (s spec) find(all []rows.Row, engine, phase string) (rows.Row, bool) {
	for _, name := range s.rows {
		var found rows.Row
		ok := false
		for _, r := range all {
			if r.Engine != engine || r.Phase != phase || (r.Scenario != "") != s.worst || !like(r.Name, name) {
				continue
			}
			if !ok || s.worse(r.Value, found.Value) {
				found, ok = r, true
			}
			if !s.worst {
				break
			}
		}
		if ok {
			return found, true
		}
	}
	return rows.Row{}, false
}

// worse tells whether a figure is further on the wrong side; NaN is worst.
func (s spec) worse(a, b float64) bool {
	if a != a || b != b {
		return a != a
	}
	return s.min && a < b || !s.min && a > b
}

// like tells whether a row's name is one with a * for any part.
func like(name, pattern string) bool {
	before, after, open := strings.Cut(pattern, "*")
	return name == pattern || open && len(name) >= len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after)
}
