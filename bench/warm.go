package bench

import (
	"math"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/stats"
)

// Warmup says how long to run before samples count.
type Warmup struct {
	Min    int     `json:"min"`    // requests at least; 3 where 0
	Max    int     `json:"max"`    // requests at most; 10 x Min where 0
	Within float64 `json:"within"` // steady when the last three requests lie within this share of their median; 0.1 where 0
}

// filled has the defaults in place of zeros.
func (w Warmup) filled() Warmup {
	if w.Min == 0 {
		w.Min = 3
	}
	if w.Max == 0 {
		w.Max = 10 * w.Min
	}
	if w.Within == 0 {
		w.Within = 0.1
	}
	return w
}

// Warm runs requests until they are steady. It gives the first failure, or how
// many it ran and whether the last ones were steady.
func (t *Timer) Warm(s profiles.Scenario, prompts [][]int64, w Warmup) (n int, steady bool, failure *Failure) {
	w = w.filled()
	var took []float64
	for n = 1; n <= w.Max; n++ {
		sample := t.Measure(s, prompts)
		if sample.Failure != nil {
			return n, false, sample.Failure
		}
		took = append(took, sample.E2E)
		if n >= w.Min && isSteady(took, w.Within) {
			return n, true, nil
		}
	}
	return w.Max, false, nil
}

// isSteady tells whether the last three values lie within a share of their median.
func isSteady(took []float64, within float64) bool {
	if len(took) < 3 {
		return false
	}
	last := took[len(took)-3:]
	centre := stats.Median(last).Value
	for _, v := range last {
		if math.Abs(v-centre) > within*centre {
			return false
		}
	}
	return true
}
