package validate

import (
	"fmt"
	"math"
	"strings"

	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// The names of rows that are about an engine against itself, or its text.
const (
	GreedyMatch  = "greedy_match"  // samples: tokens that a greedy continuation has in common with the reference's
	BatchDelta   = "batch_delta"   // largest difference of logits between rows run together and alone
	PaddingDelta = "padding_delta" // the same between rows padded on the left and alone
	CacheDelta   = "cache_delta"   // mean KL of cached decode less that of prefill
)

// Invariance is by how much a row's logits change with what should not change
// them: largest differences of logits.
type Invariance struct {
	BatchPrefill   rows.Number `json:"batch_prefill"`
	BatchDecode    rows.Number `json:"batch_decode"`
	Padded         bool        `json:"padded"` // what follows was measured
	PaddingPrefill rows.Number `json:"padding_prefill"`
	PaddingDecode  rows.Number `json:"padding_decode"`
	NoMask         bool        `json:"no_mask"` // the graph has no input that padding could be masked by
}

// Rows are the rows of an engine.
func (v Invariance) Rows(engine string) []rows.Row {
	row := func(phase, name string, value rows.Number) rows.Row {
		r := rows.Exact(engine, name, "1", float64(value))
		r.Phase = phase
		return r
	}
	all := []rows.Row{row("prefill", BatchDelta, v.BatchPrefill), row("decode", BatchDelta, v.BatchDecode)}
	if v.Padded {
		all = append(all, row("prefill", PaddingDelta, v.PaddingPrefill), row("decode", PaddingDelta, v.PaddingDecode))
	}
	return all
}

// GreedyRow is the median length of the common beginnings of continuations of n
// tokens.
func GreedyRow(engine string, lengths []int, n int) rows.Row {
	values := make([]float64, len(lengths))
	for i, l := range lengths {
		values[i] = float64(l)
	}
	m := stats.Median(values)
	r := rows.Row{Engine: engine, Phase: "decode", Name: GreedyMatch, Unit: "tokens", Value: m.Value, Lo: math.Max(m.Lo, 0), Hi: math.Min(m.Hi, float64(n)), N: len(lengths), Samples: values}
	if len(values) < 6 {
		r.Warnings = m.Warnings
	}
	return r
}

// Flaw is something that no engine may have, whatever its limits.
type Flaw struct {
	Phase string  `json:"phase"`
	Name  string  `json:"name"` // of the row
	Value float64 `json:"value"`
	Limit float64 `json:"limit"`
	Says  string  `json:"says"`
}

// noise is by how much logits may differ between two runs that should be equal: an
// engine in FP32 adds in another order. Narrower types have their own error, which
// is what the engine's logits are away from the reference's.
const noise = 1e-2

// cacheNoise is by how many nats a token cached decode may be farther from the
// reference than prefill, where prefill itself is nearer than that: PyTorch's BF16 is
// off by a twentieth of it.
const cacheNoise = 1e-3

// Flaws are the flaws that rows of one engine show: logits that are no numbers, a
// row whose neighbours or padding change it by more than the engine's largest distance
// from the reference, and cached decode that is twice as far from the reference as
// prefill, which computes the same: perplexity may not show it, and even fall.
func Flaws(all []rows.Row, engine string) (flaws []Flaw) {
	get := func(phase, name string) (float64, bool) {
		r, ok := rows.Find(all, engine, "", phase, name)
		return r.Value, ok
	}
	for _, phase := range []string{"prefill", "decode"} {
		if r, ok := rows.Find(all, engine, "", phase, NonFinite); ok && r.Value > 0 {
			says := fmt.Sprintf("%g of %d tokens have logits that are NaN or infinite", r.Value, r.N)
			for _, w := range r.Warnings { // where the first is
				if strings.HasPrefix(w, "first in window") {
					says += "; " + w
				}
			}
			flaws = append(flaws, Flaw{phase, NonFinite, r.Value, 0, says})
		}
		own, _ := get(phase, LogitMax)
		limit := math.Max(noise, own)
		if math.IsInf(own, 0) {
			limit = noise
		}
		for _, of := range []struct{ name, what string }{{BatchDelta, "what runs beside a row"}, {PaddingDelta, "padding on a row's left"}} {
			if v, ok := get(phase, of.name); ok && !(v <= limit) {
				flaws = append(flaws, Flaw{phase, of.name, v, limit, fmt.Sprintf("%s changes its logits by %.3g, more than the %.3g that its arithmetic explains", of.what, v, limit)})
			}
		}
	}
	if f, found := cacheFlaw(all, engine); found {
		flaws = append(flaws, f)
	}
	return flaws
}

// cacheFlaw compares the two paths.
func cacheFlaw(all []rows.Row, engine string) (Flaw, bool) {
	mean := func(phase string) float64 {
		for _, r := range all {
			if r.Engine == engine && r.Phase == phase && strings.HasPrefix(r.Name, "kl_") && strings.HasSuffix(r.Name, "_mean") {
				return r.Value
			}
		}
		return math.NaN()
	}
	prefill, decode := mean("prefill"), mean("decode")
	delta, limit := decode-prefill, math.Max(cacheNoise, prefill)
	if math.IsInf(decode, 0) || !(delta > limit) { // what is not finite is a flaw of its own
		return Flaw{}, false
	}
	says := fmt.Sprintf("cached decode is %.3g nats a token from the reference, prefill %.3g: its cache or its positions are wrong", decode, prefill)
	return Flaw{"decode", CacheDelta, delta, limit, says}, true
}
