package stats

import (
	"math"
	"testing"
)

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

func TestQuantileKnowsItsLeast(t *testing.T) {
	for q, least := range map[float64]int{0.5: 6, 0.9: 36, 0.95: 72, 0.99: 368, 0.999: 3688, 0.1: 36} {
		if got := LeastSamples(q); got != least {
			t.Errorf("the least for %g is %d, want %d", q, got, least)
		}
		for n := range least + 1 {
			values := make([]float64, n)
			for i := range values {
				values[i] = float64(i)
			}
			s := Quantile(values, q)
			if s.HasInterval() != (n >= least) || s.HasInterval() == (len(s.Warnings) > 0) {
				t.Fatalf("the %g quantile of %d: %+v", q, n, s)
			}
		}
	}
}

func TestWhatIsNotFiniteIsSaid(t *testing.T) {
	bad := []float64{1, 2, math.NaN(), 4, 5, math.Inf(1), 7}
	good := []float64{1, 2, 3, 4, 5, 6, 7}
	for name, s := range map[string]Summary{
		"Median": Median(bad), "Quantile": Quantile(bad, 0.9), "Mean": Mean(bad, 1), "HodgesLehmann": HodgesLehmann(bad, good),
		"PseudoMedian": PseudoMedian(bad), "RatioOfMedians": RatioOfMedians(bad, good, 1), "RatioOfMeans": RatioOfMeans(good, bad, 1),
		"PairedRatio": PairedRatio(bad, good),
	} {
		if !math.IsNaN(s.Value) || s.HasInterval() || len(s.Warnings) != 1 || s.Warnings[0] == "" {
			t.Errorf("%s gives %+v", name, s)
		}
	}
	for name, test := range map[string]Test{
		"MannWhitney": MannWhitney(bad, good), "Wilcoxon": Wilcoxon(good, bad), "Permutation": Permutation(bad, good, 1),
		"PairedPermutation": PairedPermutation(bad, good, 1), "no pairs": Wilcoxon(good, good[1:]), "none": MannWhitney(nil, good),
	} {
		if !math.IsNaN(test.P) || len(test.Warnings) != 1 {
			t.Errorf("%s gives %+v", name, test)
		}
	}
	if s := RatioOfMedians(good, []float64{0, 1, 2, 3, 4, 5}, 1); !math.IsNaN(s.Value) {
		t.Errorf("a time of zero gives the ratio %+v", s)
	}
}

// Equal samples have no spread, which is an interval, and no difference.
func TestZeroVariance(t *testing.T) {
	same := []float64{2, 2, 2, 2, 2, 2, 2}
	for name, s := range map[string]Summary{
		"Median": Median(same), "Mean": Mean(same, 1), "PseudoMedian": PseudoMedian(same),
		"BCa": BCa(7, func(draw []int) float64 { return MeanOf(same, draw) }, 0, 1),
	} {
		if s.Value != 2 || s.Lo != 2 || s.Hi != 2 {
			t.Errorf("%s gives %+v", name, s)
		}
	}
	for name, s := range map[string]Summary{"medians": RatioOfMedians(same, same, 1), "means": RatioOfMeans(same, same, 1), "pairs": PairedRatio(same, same)} {
		if s.Value != 1 || s.Lo != 1 || s.Hi != 1 {
			t.Errorf("the ratio of %s is %+v", name, s)
		}
	}
	for name, test := range map[string]Test{
		"MannWhitney": MannWhitney(same, same), "Wilcoxon": Wilcoxon(same, same), "Permutation": Permutation(same, same, 1),
	} {
		if test.P != 1 {
			t.Errorf("%s gives %+v", name, test)
		}
	}
}
