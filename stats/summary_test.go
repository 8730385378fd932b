package stats

import (
	"math"
	"math/rand/v2"
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

// Groups of one value are independent values; groups whose values resemble each other
// are worth fewer, and the interval holds its level.
func TestGroupedQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 8))
	var alone [][]float64
	values := lognormal(r, 500, 0.3, 0)
	for _, v := range values {
		alone = append(alone, []float64{v})
	}
	if got, want := GroupedQuantile(alone, 0.9), Quantile(values, 0.9); got.Value != want.Value || got.Lo > want.Lo || got.Hi < want.Hi || got.Hi > 1.05*want.Hi {
		t.Errorf("groups of one give %+v, the values %+v", got, want)
	}
	const sets, size = 400, 40
	for _, n := range []int{10, 40} {
		for name, between := range map[string]float64{"alike": 0, "apart": 0.3} {
			// A value is lognormal of both spreads together.
			truth := math.Exp(1.2815515655446004 * math.Hypot(between, 0.2))
			covered := 0
			for range sets {
				groups := make([][]float64, n)
				for i := range groups {
					level := math.Exp(between * r.NormFloat64())
					groups[i] = lognormal(r, size, 0.2, 0)
					for j := range groups[i] {
						groups[i][j] *= level
					}
				}
				if s := GroupedQuantile(groups, 0.9); s.Lo <= truth && truth <= s.Hi {
					covered++
				}
			}
			t.Logf("%d groups, %s: the interval holds the quantile in %.1f %%", n, name, 100*float64(covered)/sets)
			if covered < sets*91/100 {
				t.Errorf("%d groups, %s: the interval holds the quantile in %d of %d sets", n, name, covered, sets)
			}
		}
	}
	if s := GroupedQuantile([][]float64{values}, 0.9); s.HasInterval() || len(s.Warnings) != 1 {
		t.Errorf("one group gives %+v", s)
	}
	if s := GroupedQuantile([][]float64{values[:30], values[30:60]}, 0.99); s.HasInterval() || len(s.Warnings) != 1 {
		t.Errorf("60 values have an interval of their 99 %% quantile: %+v", s)
	}
	if s := GroupedQuantile(nil, 0.9); !math.IsNaN(s.Value) {
		t.Errorf("nothing gives %+v", s)
	}
}
