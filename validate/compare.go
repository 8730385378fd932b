package validate

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// The names of the rows that Compare makes. KL names carry K, see KLName.
const (
	Perplexity    = "perplexity"           // of the engine; its interval does not know of the reference
	RefPerplexity = "perplexity_reference" // PyTorch FP32 on the same windows
	PPLRatio      = "ppl_ratio"            // the engine's over the reference's, paired window by window
	Top1Agreement = "top1_agreement"       // share of tokens whose most likely successor is the same, Wilson interval
	Top5Agreement = "top5_agreement"       // share whose most likely successor is among the reference's five
	MaxDeltaLogP  = "max_abs_dlogprob"     // largest |difference of log-probability| over the compared tokens of any row
	DProbMean     = "dprob_mean"           // mean of the text's token's probability, the engine's less the reference's
	DProbRMS      = "dprob_rms"            // root of the mean square of the same
	LogitMax      = "logit_error_max"      // largest |difference of logits| over the compared tokens of any row
	LogitP999     = "logit_error_p999"     // 99.9 % of rows are not farther apart, nearest rank
	NonFinite     = "nonfinite"            // rows with NaN or infinite logits
	NLLByPosition = "nll_by_position"      // samples: the mean at each position, from first_position on
	KLByPosition  = "kl_by_position"       // the same of KL
)

// Fields of rows beside those that all rows have.
const (
	FirstPosition   = "first_position" // of a by-position row: which position of a window its first sample is about
	ConventionField = "convention"     // of every row of a score: figures of different ones are not comparable
)

// KLName is the name of a row of KL(reference || engine): stat is "mean", "p99",
// "p999" (nearest rank) or "max". k is how many of the reference's tokens it is a
// lower bound from; 0 is all of them, which is the KL itself.
func KLName(k int, stat string) string {
	if k == 0 {
		return "kl_full_" + stat
	}
	return fmt.Sprintf("kl_top%d_%s", k, stat)
}

// Options say how Compare names rows and draws intervals.
type Options struct {
	Engine    string
	Resamples int    // bootstrap resamples; 0 = those of package stats
	Seed      uint64 // of the bootstrap
}

// fewWindows is the number of windows below which a bootstrap over windows is
// known to be too narrow.
const fewWindows = 30

// Compare makes the rows of one score against its reference, or of the score
// alone where there was none. Intervals of means and ratios are 95 % bootstraps
// (BCa) over whole windows, because neighbouring tokens are not independent; the
// same resamples serve every row.
func Compare(s *Score, o Options) ([]rows.Row, error) {
	if err := s.check(); err != nil {
		return nil, fault.Wrap(fault.Runtime, "comparing", o.Engine, err, "")
	}
	c := comparison{score: s, options: o, warnings: s.warnings()}
	own := s.blocks(s.NLL)
	c.interval(Perplexity, "1", own, math.Exp)
	c.exact(NonFinite, "tokens", float64(s.NonFinite))
	if s.Reference() {
		c.compare(own)
	}
	c.positions(NLLByPosition, s.NLL)
	return c.rows, nil
}

// compare makes the rows that need a reference.
func (c *comparison) compare(own []block) {
	s := c.score
	ref := s.blocks(s.RefNLL)
	ratio := slices.Clone(own)
	for i := range ratio {
		ratio[i].sum -= ref[i].sum
	}
	c.interval(RefPerplexity, "1", ref, math.Exp)
	c.interval(PPLRatio, "1", ratio, math.Exp)
	c.interval(KLName(s.TopK, "mean"), "nats", plainly(s.blocks(s.KL)), identity)
	c.quantile(KLName(s.TopK, "p99"), "nats", s.WorstKL, 0.99)
	c.quantile(KLName(s.TopK, "p999"), "nats", s.WorstKL, 0.999)
	c.exact(KLName(s.TopK, "max"), "nats", s.WorstKL[0])
	c.share(Top1Agreement, s.Top1)
	c.share(Top5Agreement, s.Top5)
	c.exact(MaxDeltaLogP, "nats", float64(s.MaxDelta))
	c.interval(DProbMean, "1", plainly(s.blocks(s.DProb)), identity)
	c.interval(DProbRMS, "1", plainly(s.blocks(s.DProbSquares)), math.Sqrt)
	c.exact(LogitMax, "1", s.WorstLogit[0])
	c.quantile(LogitP999, "1", s.WorstLogit, 0.999)
	c.positions(KLByPosition, s.KL)
}

func identity(v float64) float64 { return v }

// plainly gives every token the same weight: a convention's weights are of its
// perplexity only.
func plainly(all []block) []block {
	for i := range all {
		all[i].weight = 1
	}
	return all
}

// comparison collects rows of one score.
type comparison struct {
	score    *Score
	options  Options
	warnings []string
	rows     []rows.Row
}

func (c *comparison) add(name, unit string, v stats.Summary) {
	c.rows = append(c.rows, rows.Row{Engine: c.options.Engine, Phase: c.score.Phase, Name: name, Unit: unit,
		Value: v.Value, Lo: v.Lo, Hi: v.Hi, N: c.score.Rows, Warnings: append(slices.Clip(c.warnings), v.Warnings...),
		Extra: keep.Fields{ConventionField: json.RawMessage(strconv.Quote(c.score.Convention.String()))}})
}

func (c *comparison) exact(name, unit string, v float64) {
	c.add(name, unit, stats.Summary{Value: v, Lo: v, Hi: v})
}

// interval is a function of the weighted mean of all tokens, bootstrapped over
// windows.
func (c *comparison) interval(name, unit string, all []block, of func(float64) float64) {
	figure := func(draw []int) float64 {
		sum, total := 0.0, 0.0
		for _, i := range draw {
			b := all[i]
			sum, total = sum+b.weight*b.sum, total+b.weight*float64(b.n)
		}
		return of(sum / total)
	}
	whole := make([]int, len(all))
	for i := range whole {
		whole[i] = i
	}
	if v := figure(whole); math.IsInf(v, 0) || math.IsNaN(v) { // no draw says more
		c.exact(name, unit, v)
		return
	}
	c.add(name, unit, stats.Blocks{N: len(all), Resamples: c.options.Resamples, Seed: c.options.Seed}.Interval(figure))
}

// quantile is one by nearest rank, of the largest values.
func (c *comparison) quantile(name, unit string, falling []float64, q float64) {
	n := c.score.Rows
	v := falling[kept(n, q)-1]
	s := stats.Summary{Value: v, Lo: v, Hi: v}
	if least := stats.LeastSamples(q); n < least {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d tokens are fewer than the %d that a quantile of %g needs", n, least, q))
	}
	c.add(name, unit, s)
}

// share is how many tokens agree, with Wilson's interval.
func (c *comparison) share(name string, k int) { c.add(name, "1", stats.Wilson(k, c.score.Rows)) }

// positions is the mean at each position of a window, over the windows that score
// it, from the first that any does.
func (c *comparison) positions(name string, of Sums) {
	s := c.score
	counts := make([]int, len(of.Positions))
	first := math.MaxInt
	for _, w := range s.Windows {
		span := s.Convention.Span(s.Tokens, w)
		first = min(first, span.First)
		for t := span.First; t < span.Length-1; t++ {
			counts[t]++
		}
	}
	var means []float64
	total := 0.0
	for t := first; t < len(counts); t++ {
		means = append(means, of.Positions[t]/float64(counts[t])) // NaN where no window scores it
		total += of.Positions[t]
	}
	c.exact(name, "nats", total/float64(s.Rows))
	r := &c.rows[len(c.rows)-1]
	r.Samples = means
	r.Extra[FirstPosition] = json.RawMessage(fmt.Sprint(first))
}

// warnings are the doubts that every row of the score carries.
func (s *Score) warnings() []string {
	var all []string
	if len(s.Windows) < fewWindows {
		all = append(all, fmt.Sprintf("intervals come from %d windows only", len(s.Windows)))
	}
	if s.NonFinite > 0 {
		all = append(all, fmt.Sprintf("%d of %d rows of logits were not finite", s.NonFinite, s.Rows))
	}
	return all
}
