package validate

import (
	"fmt"
	"math"

	"github.com/trtforge/trtforge/rows"
)

// Score is what an engine's logits came to, in sums: it grows with the windows of a
// text and a hundredth of its tokens. What compares is empty without a reference.
type Score struct {
	Phase      string     `json:"phase"` // prefill or decode
	Convention Convention `json:"convention"`
	Tokens     int        `json:"tokens"`  // of the text
	Windows    []int      `json:"windows"` // which of the text's windows, by index
	Rows       int        `json:"rows"`    // scored tokens in them

	NLL          Sums `json:"nll"`     // nats; +Inf where logits were not finite
	RefNLL       Sums `json:"ref_nll"` // the reference's
	KL           Sums `json:"kl"`      // nats; a lower bound where TopK > 0, see divergence
	DProb        Sums `json:"dprob"`   // probability of the text's token, the engine's less the reference's
	DProbSquares Sums `json:"dprob_squares"`

	WorstKL    Floats      `json:"worst_kl"`    // the largest of all rows, falling: as many as the 99 % quantile needs
	WorstLogit Floats      `json:"worst_logit"` // the same of the largest |difference of logits| of each row, for 99.9 %
	MaxDelta   rows.Number `json:"max_delta"`   // largest |difference of log-probability|, nats
	Top1       int         `json:"top1"`        // rows whose most likely token is the reference's
	Top5       int         `json:"top5"`        // rows whose most likely token is among the reference's five
	TopK       int         `json:"top_k"`       // tokens a row that were compared; 0: all of them

	NonFinite int    `json:"non_finite"`    // rows
	Bad       *Place `json:"bad,omitempty"` // the first of them

	LoadMS float64 `json:"load_ms,omitempty"` // of opening the engine
	RunMS  float64 `json:"run_ms,omitempty"`  // in the runtime's runs
}

// Place is a scored position: the window's index in the text, and the position in it.
type Place struct {
	Window   int `json:"window"`
	Position int `json:"position"`
}

func (p Place) before(o Place) bool {
	return p.Window < o.Window || p.Window == o.Window && p.Position < o.Position
}

// MeanNLL is the mean over all scored tokens, weighted as the convention says,
// summed in order in float64.
func (s *Score) MeanNLL() float64 {
	sum, total := 0.0, 0.0
	for _, b := range s.blocks(s.NLL) {
		sum, total = sum+b.weight*b.sum, total+b.weight*float64(b.n)
	}
	return sum / total
}

// Perplexity is exp of MeanNLL.
func (s *Score) Perplexity() float64 { return math.Exp(s.MeanNLL()) }

// Reference tells whether the score was held against one.
func (s *Score) Reference() bool { return len(s.RefNLL.Windows) > 0 }

// check finds what cannot come from an Accumulator: scores cross a pipe.
func (s *Score) check() error {
	n, positions, all := 0, 0, s.Convention.Count(s.Tokens)
	for _, w := range s.Windows {
		if w < 0 || w >= all {
			return fmt.Errorf("window %d of %d", w, all)
		}
		span := s.Convention.Span(s.Tokens, w)
		n, positions = n+span.Rows(), max(positions, span.Length-1)
	}
	if n <= 0 || s.Rows != n {
		return fmt.Errorf("%d scored tokens in %d windows of %s", s.Rows, len(s.Windows), s.Convention)
	}
	figures := []Sums{s.NLL}
	if s.Reference() {
		figures = append(figures, s.RefNLL, s.KL, s.DProb, s.DProbSquares)
		if len(s.WorstKL) != kept(n, quantileKL) || len(s.WorstLogit) != kept(n, quantileLogit) {
			return fmt.Errorf("%d tokens were scored, and the worst %d and %d are given", n, len(s.WorstKL), len(s.WorstLogit))
		}
	}
	for _, f := range figures {
		if len(f.Windows) != len(s.Windows) || len(f.Positions) != positions {
			return fmt.Errorf("sums of %d windows and %d positions, where there are %d and %d", len(f.Windows), len(f.Positions), len(s.Windows), positions)
		}
	}
	return nil
}

// block is the sum of a figure over the scored tokens of a window.
type block struct {
	sum    float64
	n      int
	weight float64 // of each token in the perplexity
}

// blocks are a figure's sums with what they are of.
func (s *Score) blocks(of Sums) []block {
	all := make([]block, len(s.Windows))
	for i, w := range s.Windows {
		span := s.Convention.Span(s.Tokens, w)
		all[i] = block{sum: of.Windows[i], n: span.Rows(), weight: s.Convention.Weight(span)}
	}
	return all
}
