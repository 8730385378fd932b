package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The intervals of the median must cover the true one in about 95 of 100
// experiments: it is 1 for a lognormal of location 0.
func TestMedianIntervalCovers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const trials = 2000
	covered := 0
	for range trials {
		values := make([]float64, 31)
		for i := range values {
			values[i] = math.Exp(r.NormFloat64())
		}
		if s := Median(values); s.Lo <= 1 && 1 <= s.Hi {
			covered++
		}
	}
	if share := float64(covered) / trials; share < 0.92 || share > 0.985 {
		t.Errorf("the 95 %% interval covered the median in %.1f %%", 100*share)
	}
}

func TestMedianOfTooFew(t *testing.T) {
	s := Median([]float64{1, 2, 3, 4, 5})
	if !math.IsInf(s.Lo, -1) || !math.IsInf(s.Hi, 1) || len(s.Warnings) == 0 || s.Value != 3 {
		t.Errorf("five samples give %+v", s)
	}
	if s := Median([]float64{1, 2, 3, 4, 5, 60}); len(s.Warnings) != 1 || s.Lo != 1 || s.Hi != 60 {
		t.Errorf("a spread-out sample gives %+v", s)
	}
	if s := Median(nil); !math.IsNaN(s.Value) || s.N != 0 {
		t.Errorf("no samples give %+v", s)
	}
}
