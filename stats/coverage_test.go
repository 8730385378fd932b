package stats

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// The 95 % intervals of median and mean hold the true value in 92 to 97 % of 2,000
// lognormal sets (sigma 1, skewed more than any latency we saw).
func TestCoverage(t *testing.T) {
	sets, sizes := 2000, []int{30}
	if os.Getenv("TRTFORGE_FULL") != "" {
		sizes = []int{30, 50, 100}
	}
	for _, n := range sizes {
		r := rand.New(rand.NewPCG(uint64(n), 2))
		var median, mean int
		for i := range sets {
			values := lognormal(r, n, 1, 0)
			if s := Median(values); s.Lo <= 1 && 1 <= s.Hi {
				median++
			}
			if s := meanOf(values, coverageResamples, uint64(i)); s.Lo <= math.Exp(0.5) && math.Exp(0.5) <= s.Hi {
				mean++
			}
		}
		for name, covered := range map[string]int{"median": median, "mean": mean} {
			share := float64(covered) / float64(sets)
			t.Logf("n = %d: the interval of the %s holds it in %.1f %%", n, name, 100*share)
			if share < 0.92 || share > 0.97 {
				t.Errorf("n = %d: the interval of the %s holds it in %.1f %% of %d sets", n, name, 100*share, sets)
			}
		}
	}
}

// coverageResamples is fewer than Resamples: the level does not depend on it, the
// time does.
const coverageResamples = 1000

// Ratios and shifts, too, hold their level, small samples included.
func TestCoverageOfComparisons(t *testing.T) {
	const sets, fewer = 500, 100 // a bootstrap takes its time
	for _, n := range []int{8, 20} {
		r := rand.New(rand.NewPCG(uint64(n), 3))
		covered := map[string]int{}
		count := func(name string, s Summary, truth float64) {
			if s.Lo <= truth && truth <= s.Hi {
				covered[name]++
			}
		}
		for i := range sets {
			a, b := lognormal(r, n, 0.3, 0), lognormal(r, n, 0.3, 0)
			drift := lognormal(r, n, 0.5, 0)
			count("HodgesLehmann", HodgesLehmann(a, b), 0)
			count("RatioOfSummaries", RatioOfSummaries(Median(a), Median(b)), 1)
			if i < fewer {
				count("RatioOfMedians", RatioOfMedians(a, b, uint64(i)), 1)
			}
			for j := range a {
				a[j], b[j] = a[j]*drift[j], b[j]*drift[j]
			}
			count("PairedRatio", PairedRatio(a, b), 1)
		}
		for name, k := range covered {
			share := float64(k) / sets
			if name == "RatioOfMedians" {
				share = float64(k) / fewer
			}
			t.Logf("n = %d: %s holds the truth in %.1f %%", n, name, 100*share)
			if share < 0.92 {
				t.Errorf("n = %d: %s holds the truth in %.1f %%", n, name, 100*share)
			}
		}
	}
}
