package gate

import (
	"math"
	"strings"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// Cost is what comes with an engine.
type Cost struct {
	BuildMS  float64     `json:"build_ms,omitempty"` // of this engine; 0 where not known
	Bytes    int64       `json:"bytes,omitempty"`
	PPLRatio rows.Number `json:"ppl_ratio,omitempty"`    // perplexity over PyTorch FP32's, the worse of prefill and decode; 0 = not measured
	KL       rows.Number `json:"kl_mean_nats,omitempty"` // likewise
	// Requests and Tokens are after how many requests, and generated tokens of all
	// rows together, the time that each saves over the FP32 engine has earned the
	// build; infinite where it saves none. Absent where no build time is known.
	Requests *Figure `json:"break_even_requests,omitempty"`
	Tokens   *Figure `json:"break_even_tokens,omitempty"`
}

// cost gathers what is known but for the break-even.
func (c chooser) cost(e Engine) *Cost {
	out := &Cost{BuildMS: e.BuildMS, Bytes: e.Bytes}
	for _, r := range c.rows {
		if r.Engine != e.Name || r.Scenario != "" {
			continue
		}
		switch v := rows.Number(r.Value); {
		case r.Name == "ppl_ratio":
			out.PPLRatio = larger(out.PPLRatio, v)
		case strings.HasPrefix(r.Name, "kl_") && strings.HasSuffix(r.Name, "_mean"):
			out.KL = larger(out.KL, v)
		}
	}
	return out
}

// larger is the larger of two numbers, the second where the first is not set.
func larger(a, b rows.Number) rows.Number {
	if a == 0 || b > a || math.IsNaN(float64(b)) {
		return b
	}
	return a
}

// earn finds the break-even of a build from the times of requests with and
// without it, scenario by scenario. Of one scenario it has the interval of the
// shift of its samples; of several it is the mean request, without one.
func (c *Cost) earn(buildMS float64, scenarios []profiles.Scenario, slow, fast []rows.Row) {
	if buildMS <= 0 {
		return
	}
	var saved, tokens, weight float64
	for i, w := range weights(scenarios) {
		saved += w * (slow[i].Value - fast[i].Value)
		tokens += w * float64(scenarios[i].Batch*scenarios[i].NewTokens)
		weight += w
	}
	if weight == 0 {
		return
	}
	requests := figure(math.Inf(1), math.Inf(-1), math.Inf(1))
	if saved > 0 {
		requests.Value = rows.Number(buildMS * weight / saved)
	}
	if len(scenarios) == 1 && len(slow[0].Samples) > 1 && len(fast[0].Samples) > 1 {
		s := stats.BreakEven(buildMS, slow[0].Samples, fast[0].Samples)
		requests = figure(s.Value, s.Lo, s.Hi)
	}
	c.Requests = requests
	if n := rows.Number(tokens / weight); n > 0 {
		c.Tokens = figure(float64(requests.Value*n), float64(requests.Lo*n), float64(requests.Hi*n))
	}
}
