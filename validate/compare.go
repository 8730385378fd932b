package validate

import (
	"fmt"
	"math"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

// The names of the rows that Compare makes. KL names carry K, see KLName.
const (
	Perplexity    = "perplexity"           // of the engine; its interval does not know of the reference
	RefPerplexity = "perplexity_reference" // PyTorch FP32 on the same windows
	PPLRatio      = "ppl_ratio"            // the engine's over the reference's, paired window by window
	Top1Agreement = "top1_agreement"       // share of tokens whose most likely successor is the same, Wilson interval
	MaxDeltaLogP  = "max_abs_dlogprob"     // largest |difference of log-probability| over the K tokens of any row
)

// KLName is the name of a row of the KL lower bound from the k most likely
// tokens: stat is "mean", "p99" (nearest rank) or "max".
func KLName(k int, stat string) string { return fmt.Sprintf("kl_top%d_%s", k, stat) }

// Options say how Compare names rows and draws intervals.
type Options struct {
	Engine    string
	Resamples int    // bootstrap resamples; 0 = 2000
	Seed      uint64 // of the bootstrap
}

// fewWindows is the number of windows below which a bootstrap over windows is
// known to be too narrow.
const fewWindows = 30

// Compare makes the rows of one score against its reference. Intervals of means
// and ratios are 95 % percentile bootstraps over whole windows, because
// neighbouring tokens are not independent; the same resamples serve every row.
func Compare(b *Bundle, s *Score, o Options) ([]rows.Row, error) {
	if err := s.check(true); err != nil {
		return nil, fault.Wrap(fault.Runtime, "comparing", o.Engine, err, "")
	}
	if s.Convention != b.Convention {
		return nil, fault.New(fault.Input, "comparing", o.Engine, fmt.Sprintf("it was scored by %s and the reference by %s", s.Convention, b.Convention), "record the bundle again")
	}
	ref, err := b.nll(s.Windows)
	if err != nil {
		return nil, err
	}
	boot := newBootstrap(len(s.Windows), o)
	size, n := s.Convention.Length-1, len(s.NLL)
	refMean, ownMean, klMean := blockMeans(ref, size), blockMeans(s.NLL, size), blockMeans(s.KL, size)
	exp := func(values []float64) func(draw []int) float64 {
		return func(draw []int) float64 { return math.Exp(meanOf(values, draw)) }
	}
	kl := slices.Sorted(slices.Values(s.KL))
	agree, lo, hi := wilson(s.Agree)
	c := comparison{score: s, options: o, warnings: s.warnings()}
	c.interval(Perplexity, "1", n, boot.interval(exp(ownMean)))
	c.interval(RefPerplexity, "1", n, boot.interval(exp(refMean)))
	c.interval(PPLRatio, "1", n, boot.interval(exp(difference(ownMean, refMean))))
	c.interval(KLName(b.TopK, "mean"), "nats", n, boot.interval(func(draw []int) float64 { return meanOf(klMean, draw) }))
	c.exact(KLName(b.TopK, "p99"), "nats", n, nearestRank(kl, 0.99))
	c.exact(KLName(b.TopK, "max"), "nats", n, kl[n-1])
	c.interval(Top1Agreement, "1", n, [3]float64{agree, lo, hi})
	c.exact(MaxDeltaLogP, "nats", n, slices.Max(s.MaxDelta))
	return c.rows, nil
}

// comparison collects rows of one score.
type comparison struct {
	score    *Score
	options  Options
	warnings []string
	rows     []rows.Row
}

func (c *comparison) interval(name, unit string, n int, v [3]float64) {
	c.rows = append(c.rows, rows.Row{Engine: c.options.Engine, Phase: c.score.Phase, Name: name, Unit: unit,
		Value: v[0], Lo: v[1], Hi: v[2], N: n, Warnings: c.warnings})
}

func (c *comparison) exact(name, unit string, n int, v float64) {
	c.interval(name, unit, n, [3]float64{v, v, v})
}

// warnings are the doubts that every row of the score carries.
func (s *Score) warnings() []string {
	var all []string
	if len(s.Windows) < fewWindows {
		all = append(all, fmt.Sprintf("intervals come from %d windows only", len(s.Windows)))
	}
	if s.NonFinite > 0 {
		all = append(all, fmt.Sprintf("%d of %d rows of logits were not finite", s.NonFinite, len(s.NLL)))
	}
	return all
}

// nll is the reference's NLL of the given windows, token by token.
func (b *Bundle) nll(windows []int) ([]float64, error) {
	var all []float64
	for _, w := range windows {
		part, err := b.Window(w)
		if err != nil {
			return nil, err
		}
		for _, r := range part {
			all = append(all, float64(r.NLL))
		}
	}
	return all, nil
}
