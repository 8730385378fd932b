package calib

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestDivergenceIsTheDefinition compares the sums with a plain reading of the
// definition, bin by bin, on histograms with gaps and many outliers.
func TestDivergenceIsTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 0))
	for _, fill := range []float64{0.02, 0.5, 1} {
		bins := make([]int64, 700)
		for i := range bins {
			if r.Float64() < fill {
				bins[i] = 1 + r.Int64N(50)
			}
		}
		bins[len(bins)-1] = 3
		d := newDivergences(bins)
		for i := entropyLevels; i <= len(bins); i++ {
			got, want := d.of(i), divergence(bins, i)
			if math.IsInf(got, 1) != math.IsInf(want, 1) || math.Abs(got-want) > 1e-9 {
				t.Fatalf("%d bins of %d: %v, by definition %v", i, len(bins), got, want)
			}
		}
	}
}

func divergence(bins []int64, i int) (sum float64) {
	p, q := make([]float64, i), make([]float64, i)
	var all, kept float64
	var count, full [entropyLevels]float64
	for j, n := range bins {
		all += float64(n)
		p[min(j, i-1)] += float64(n)
		if j < i && n > 0 {
			kept += float64(n)
			count[entropyLevels*j/i] += float64(n)
			full[entropyLevels*j/i]++
		}
	}
	if kept == 0 {
		return math.Inf(1)
	}
	for j := range p {
		if level := entropyLevels * j / i; bins[j] > 0 {
			q[j] = count[level] / full[level]
		}
		if p[j] > 0 {
			sum += p[j] / all * math.Log(p[j]/all/(q[j]/kept))
		}
	}
	return sum
}

// TestErrorIsTheIntegral: where steps are smaller than bins, the squared error is
// that of values spread evenly over the bins.
func TestErrorIsTheIntegral(t *testing.T) {
	h := &Histogram{Count: 9, Min: 0, Max: 1.75, Exp: 1, Counts: make([]int64, Bins)}
	h.Counts[1], h.Counts[2], h.Counts[14000] = 5, 3, 1
	p := h.powers()
	for _, threshold := range []float64{1.75, 0.5, 300 * p.width, 40 * p.width, 1.5 * p.width} {
		var want float64
		const points = 40000
		step := threshold / 127
		for bin, n := range h.Counts {
			for k := range points {
				if n == 0 {
					break
				}
				x := (float64(bin) + (float64(k)+0.5)/points) * p.width
				d := x - step*min(127, math.Round(x/step))
				want += float64(n) / points * d * d
			}
		}
		if got := p.error(threshold); math.Abs(got/want-1) > 1e-4 {
			t.Errorf("threshold %v: error %v, by sampling %v", threshold, got, want)
		}
	}
}
