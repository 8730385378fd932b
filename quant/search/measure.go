package search

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/aclements/go-moremath/stats"

	"github.com/trtforge/trtforge/rows"
)

// Subset tells of each candidate whether it is quantized.
type Subset []bool

// String is a digit a candidate, "0110"; it tells subsets apart.
func (s Subset) String() string {
	var b strings.Builder
	for _, in := range s {
		if in {
			b.WriteByte('1')
		} else {
			b.WriteByte('0')
		}
	}
	return b.String()
}

// MarshalText and UnmarshalText make String the form in files.
func (s Subset) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the form in files.
func (s *Subset) UnmarshalText(text []byte) error {
	*s = make(Subset, len(text))
	for i, c := range text {
		if c != '0' && c != '1' {
			return fmt.Errorf("subset %q: want a 0 or 1 for each candidate", text)
		}
		(*s)[i] = c == '1'
	}
	return nil
}

// Count is how many candidates are quantized.
func (s Subset) Count() int { return strings.Count(s.String(), "1") }

// with is s with candidate i quantized or not.
func (s Subset) with(i int, in bool) Subset {
	t := append(Subset{}, s...)
	t[i] = in
	return t
}

// Evaluator measures a choice against the float model on its windows.
type Evaluator interface {
	Measure(ctx context.Context, s Subset) (Measurement, error)
}

// Parts is an Evaluator that can also quantize the two operands apart, which
// tells whether a product suffers from its activation or from its weight.
type Parts interface {
	MeasureParts(ctx context.Context, activations, weights Subset) (Measurement, error)
}

// Interval is a mean with its 95 % interval.
type Interval struct {
	Value float64 `json:"value"`
	Lo    float64 `json:"lo"`
	Hi    float64 `json:"hi"`
}

// number is an Interval as JSON carries it, the infinities too.
type number struct {
	Value rows.Number `json:"value"`
	Lo    rows.Number `json:"lo"`
	Hi    rows.Number `json:"hi"`
}

// MarshalJSON writes the infinities as strings.
func (i Interval) MarshalJSON() ([]byte, error) {
	return json.Marshal(number{rows.Number(i.Value), rows.Number(i.Lo), rows.Number(i.Hi)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *Interval) UnmarshalJSON(b []byte) error {
	var n number
	err := json.Unmarshal(b, &n)
	*i = Interval{Value: float64(n.Value), Lo: float64(n.Lo), Hi: float64(n.Hi)}
	return err
}

// Measurement is what a choice costs against the float model on the same windows.
type Measurement struct {
	KL      Interval `json:"kl"`        // KL(float || quantized), nats a token
	PPL     Interval `json:"ppl_ratio"` // perplexity over the float model's
	Windows int      `json:"windows"`
}

// minWindows is the least number of windows that has an interval.
const minWindows = 2

// NewMeasurement summarises windows of equal length, each given by the means of
// its tokens: the KL divergence, and the NLL less that of the float model. Both
// are paired by construction. Tokens of a window are not independent, so
// intervals come from the means of windows, by Student's t: with few windows a
// bootstrap is too narrow. A value that is not finite gives intervals up to +Inf.
func NewMeasurement(kl, dnll []float64) (Measurement, error) {
	if len(kl) < minWindows || len(kl) != len(dnll) {
		return Measurement{}, fmt.Errorf("measuring: %d and %d windows, %d are the least that have an interval", len(kl), len(dnll), minWindows)
	}
	ratio, divergence := student(dnll), student(kl)
	divergence.Lo = max(divergence.Lo, 0) // no divergence is negative
	return Measurement{KL: divergence, Windows: len(kl),
		PPL: Interval{Value: math.Exp(ratio.Value), Lo: math.Exp(ratio.Lo), Hi: math.Exp(ratio.Hi)}}, nil
}

// student is the mean of independent values and its 95 % interval by Student's t.
func student(values []float64) Interval {
	n := float64(len(values))
	mean := 0.0
	for _, v := range values {
		mean += v / n
	}
	square := 0.0
	for _, v := range values {
		square += (v - mean) * (v - mean)
	}
	if math.IsNaN(mean) || math.IsInf(square, 0) || math.IsNaN(square) {
		return Interval{Value: math.Inf(1), Lo: math.Inf(1), Hi: math.Inf(1)}
	}
	half := stats.InvCDF(stats.TDist{V: n - 1})(0.975) * math.Sqrt(square/(n-1)/n)
	return Interval{Value: mean, Lo: mean - half, Hi: mean + half}
}

// Gate is what a choice must hold with the upper ends of its intervals. 0 sets no
// limit; at least one is needed.
type Gate struct {
	PPLRatioMax float64 `json:"ppl_ratio_max,omitempty"`
	KLMax       float64 `json:"kl_max,omitempty"` // nats a token
}

// Check refuses a gate that nothing or everything passes.
func (g Gate) Check() error {
	switch {
	case g.PPLRatioMax == 0 && g.KLMax == 0:
		return errors.New("the search has no gate: set a limit of perplexity or of KL divergence")
	case g.PPLRatioMax != 0 && !(g.PPLRatioMax > 1) || !(g.KLMax >= 0):
		return fmt.Errorf("the gate wants a perplexity ratio above 1 and a KL divergence above 0, not %g and %g", g.PPLRatioMax, g.KLMax)
	}
	return nil
}

// Holds tells whether a measurement is within the gate.
func (g Gate) Holds(m Measurement) bool { return g.use(m) <= 1 }

// use is the share of the gate that a measurement takes: 1 is all of it.
func (g Gate) use(m Measurement) float64 { return g.share(m.KL.Hi, math.Log(m.PPL.Hi)) }

// share is the same for a KL divergence and the logarithm of a ratio.
func (g Gate) share(kl, logRatio float64) float64 {
	share := 0.0
	if g.KLMax > 0 {
		share = kl / g.KLMax
	}
	if g.PPLRatioMax > 0 {
		share = math.Max(share, logRatio/math.Log(g.PPLRatioMax))
	}
	if math.IsNaN(share) {
		return math.Inf(1)
	}
	return share
}
