package bench

import (
	"math"

	"github.com/trtforge/trtforge/stats"
)

// Warmup says how long to run before samples count. The zero value warms up until
// requests are steady.
type Warmup struct {
	Min     int     `json:"min,omitempty"`     // requests at least; 3 where 0
	Max     int     `json:"max,omitempty"`     // requests at most; 10 x Min where 0
	MaxMS   float64 `json:"max_ms,omitempty"`  // no further request after this time; a minute where 0
	Within  float64 `json:"within,omitempty"`  // how near steady requests are, a share; 0.1 where 0
	Exactly *int    `json:"exactly,omitempty"` // that many requests and no test; nil tests
	// Steady is the median of steady requests in an earlier turn of the same
	// process, in ms, by case: one request near to it is enough. See [Case.Key].
	Steady map[string]float64 `json:"steady,omitempty"`
}

// filled has the defaults in place of zeros.
func (w Warmup) filled() Warmup {
	if w.Min == 0 {
		w.Min = 3
	}
	if w.Max == 0 {
		w.Max = 10 * w.Min
	}
	if w.MaxMS == 0 {
		w.MaxMS = 60_000
	}
	if w.Within == 0 {
		w.Within = 0.1
	}
	return w
}

// Warm runs requests until they are steady. It gives the first failure, or how
// many it ran and whether the last ones were steady.
func (t *Timer) Warm(w Warmup) (n int, steady bool, failure *Failure) {
	w = w.filled()
	if w.Exactly != nil {
		w.Max, w.MaxMS = *w.Exactly, math.Inf(1)
	}
	var took []float64
	spent := 0.0
	for n = 0; n < w.Max && (spent < w.MaxMS || n < w.Min); n++ {
		sample := t.Measure()
		if sample.Failure != nil {
			return n + 1, false, sample.Failure
		}
		took, spent = append(took, sample.E2E), spent+sample.E2E
		if w.Exactly == nil && w.isSteady(took, w.Steady[t.c.Key()]) {
			return n + 1, true, nil
		}
	}
	return n, w.Exactly != nil, nil
}

// isSteady tells whether requests take what they will take. Either the last three
// lie within a share of their median, or, on a machine too noisy for that, the
// median of the last five is within half the share of that of the five before: the
// level no longer moves. Where the level is known already, one request near to it
// is enough.
func (w Warmup) isSteady(took []float64, known float64) bool {
	n := len(took)
	switch {
	case n == 0:
		return false
	case known > 0 && near(took[n-1:], known, w.Within):
		return true
	case n < w.Min || n < 3:
		return false
	case near(took[n-3:], stats.Median(took[n-3:]).Value, w.Within):
		return true
	}
	return n >= 10 && near([]float64{stats.Median(took[n-5:]).Value}, stats.Median(took[n-10:n-5]).Value, w.Within/2)
}

// near tells whether all values lie within a share of a centre.
func near(values []float64, centre, within float64) bool {
	for _, v := range values {
		if math.Abs(v-centre) > within*centre {
			return false
		}
	}
	return true
}
