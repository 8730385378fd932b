package calib

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestNoThresholdIsRuledOutWrongly holds the bound against each divergence, and the
// threshold against that of all divergences, of values with and without a heavy tail.
func TestNoThresholdIsRuledOutWrongly(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for name, value := range map[string]func() float64{
		"normal": r.NormFloat64,
		"cauchy": func() float64 { return r.NormFloat64() / (math.Abs(r.NormFloat64()) + 0.01) },
		"gelu":   func() float64 { v := r.NormFloat64(); return v * 0.5 * math.Erfc(-v/math.Sqrt2) },
		"few":    func() float64 { return float64(r.IntN(5)) },
	} {
		h := histogramOf(t, value, 100000)
		d := newDivergences(h.entropyBins())
		best, least := len(d.bins), math.Inf(1)
		for i := len(d.bins); i >= entropyLevels; i-- {
			kl, bound := d.of(i), d.atLeast(i)
			if kl < least {
				best, least = i, kl
			}
			if bound > kl+1e-12 {
				t.Fatalf("%s: the divergence of %d bins is %g, the bound %g", name, i, kl, bound)
			}
		}
		want := min(h.Amax(), float32((float64(best)+0.5)*math.Ldexp(1, h.Exp)/entropyBins))
		if got := h.leastDivergence(); got != want {
			t.Errorf("%s: the threshold is %g, that of all divergences %g", name, got, want)
		}
	}
}

// BenchmarkEntropy is the threshold of one tensor.
func BenchmarkEntropy(b *testing.B) {
	h := histogramOf(b, rand.New(rand.NewPCG(1, 1)).NormFloat64, 1<<20)
	for b.Loop() {
		h.leastDivergence()
	}
}

func histogramOf(t testing.TB, value func() float64, n int) *Histogram {
	t.Helper()
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(value())
	}
	var h Histogram
	if err := h.Add(values); err != nil {
		t.Fatal(err)
	}
	return &h
}
