package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A shift at an end of the interval is the first that the test lets pass: beyond
// it, on the data shifted back, p is below 5 %, and inside it is not.
func TestIntervalsInvertTheirTests(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	for _, n := range [][2]int{{4, 4}, {6, 9}, {20, 25}} {
		a, b := lognormal(r, n[0], 0.5, 0), lognormal(r, n[1], 0.5, 0)
		s := HodgesLehmann(a, b)
		width := s.Hi - s.Lo
		p := func(shift float64) float64 {
			back := slices.Clone(a)
			for i := range back {
				back[i] -= shift
			}
			return MannWhitney(back, b).P
		}
		if p(s.Value) < 0.5 || !(p(s.Lo-1e-9*width) <= 0.05 && p(s.Lo+1e-9*width) > 0.05 && p(s.Hi-1e-9*width) > 0.05 && p(s.Hi+1e-9*width) <= 0.05) {
			t.Errorf("%d+%d: %+v does not invert the test", n[0], n[1], s)
		}
	}
	for _, n := range []int{6, 13, 40} {
		a := lognormal(r, n, 0.5, 0)
		s := PseudoMedian(a)
		p := func(shift float64) float64 { return Wilcoxon(a, slices.Repeat([]float64{shift}, n)).P }
		width := s.Hi - s.Lo
		if p(s.Value) < 0.5 || !(p(s.Lo-1e-9*width) <= 0.05 && p(s.Lo+1e-9*width) > 0.05 && p(s.Hi-1e-9*width) > 0.05 && p(s.Hi+1e-9*width) <= 0.05) {
			t.Errorf("%d: %+v does not invert the test", n, s)
		}
	}
	if s := HodgesLehmann([]float64{1, 2, 3}, []float64{4, 5, 6, 7}); s.HasInterval() || s.Value != -3.5 {
		t.Errorf("3+4 samples give %+v", s)
	}
	if s := PseudoMedian([]float64{1, 2, 3, 4, 5}); s.HasInterval() || s.Value != 3 {
		t.Errorf("five samples give %+v", s)
	}
}

// The median of all differences is found without laying them out.
func TestHodgesLehmannIsTheMedianOfDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8))
	for n := 1; n < 30; n++ {
		a, b := lognormal(r, n, 0.5, 0.25), lognormal(r, 1+n/2, 0.5, 0)
		var all, walsh []float64
		for i, x := range a {
			for _, y := range b {
				all = append(all, x-y)
			}
			for _, y := range a[i:] {
				walsh = append(walsh, x/2+y/2)
			}
		}
		slices.Sort(all)
		slices.Sort(walsh)
		if got := HodgesLehmann(a, b).Value; got != medianOf(all) && math.Abs(got-medianOf(all)) > 1e-15 {
			t.Errorf("%d: %v, want %v", n, got, medianOf(all))
		}
		if got := PseudoMedian(a).Value; math.Abs(got-medianOf(walsh)) > 1e-15 {
			t.Errorf("%d: %v, want %v", n, got, medianOf(walsh))
		}
	}
}

func TestMagnitude(t *testing.T) {
	for delta, want := range map[float64]string{0: "negligible", -0.2: "small", 0.4: "medium", -1: "large", math.NaN(): "unknown"} {
		if got := Magnitude(delta); got != want {
			t.Errorf("%g is %s, want %s", delta, got, want)
		}
	}
}

// Drawn rearrangements agree with counted ones.
func TestPermutationsThatAreDrawn(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 8))
	a, b := lognormal(r, 30, 0.3, 0), lognormal(r, 35, 0.3, 0)
	for i := range b {
		b[i] += 0.12
	}
	for name, tests := range map[string][2]Test{
		"independent": {Permutation(a, b, 1), MannWhitney(a, b)},
		"paired":      {PairedPermutation(a, b[:30], 1), Wilcoxon(a, b[:30])},
	} {
		drawn, ranks := tests[0], tests[1]
		if drawn.Method != "permutations" || math.Abs(drawn.P-ranks.P) > 0.1 || drawn.P == 0 {
			t.Errorf("%s: %+v, by ranks %+v", name, drawn, ranks)
		}
	}
}

func TestNeeded(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 8))
	if n := Needed(nil, 0.01); n != 6 {
		t.Errorf("of nothing %d are needed", n)
	}
	if n := Needed([]float64{1, 1, 1}, 0.01); n != 6 {
		t.Errorf("of equal values %d are needed", n)
	}
	pilot := lognormal(r, 20, 0.05, 0)
	n := Needed(pilot, 0.01)
	if n < 60 || n > 400 {
		t.Fatalf("±1 %% of a spread of 5 %% needs %d, want about 150", n)
	}
	reached := 0
	for range 200 {
		s := Median(lognormal(r, n, 0.05, 0))
		if max(s.Hi-s.Value, s.Value-s.Lo) <= 0.013*s.Value {
			reached++
		}
	}
	if reached < 150 {
		t.Errorf("%d samples reached the precision in %d of 200 runs", n, reached)
	}
	if got := Needed(lognormal(r, 400, 0.05, 0), 0.05); got != 400 {
		t.Errorf("what is precise enough needs %d", got)
	}
}

// One sample a side and block makes pairs of the logarithms; without a difference p
// is as often below 5 % as it may be, however much the blocks differ.
func TestBlockPermutation(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	var a, b [][]float64
	var logA, logB []float64
	for range 12 {
		drift := math.Exp(r.NormFloat64())
		x, y := drift*math.Exp(0.1*r.NormFloat64()), 1.05*drift*math.Exp(0.1*r.NormFloat64())
		a, b = append(a, []float64{x}), append(b, []float64{y})
		logA, logB = append(logA, math.Log(x)), append(logB, math.Log(y))
	}
	blocks, pairs := BlockPermutation(a, b, 1), PairedPermutation(logA, logB, 1)
	if math.Abs(blocks.P-pairs.P) > 0.03 || math.Abs(blocks.Statistic-pairs.Statistic) > 1e-12 {
		t.Errorf("blocks of one pair %+v, pairs %+v", blocks, pairs)
	}
	alarms := 0
	const sets = 60
	for i := range sets {
		a, b = nil, nil
		for range 4 {
			drift := math.Exp(r.NormFloat64())
			both := lognormal(r, 7, 0.1, 0)
			for j := range both {
				both[j] *= drift
			}
			a, b = append(a, both[:3]), append(b, both[3:])
		}
		if BlockPermutation(a, b, uint64(i)).P <= 0.05 {
			alarms++
		}
	}
	if alarms > 8 {
		t.Errorf("%d of %d tests of nothing found something", alarms, sets)
	}
	for name, test := range map[string]Test{"no blocks": BlockPermutation(nil, nil, 1), "an empty one": BlockPermutation([][]float64{{1}}, [][]float64{{}}, 1), "zero": BlockPermutation([][]float64{{1}}, [][]float64{{0}}, 1)} {
		if !math.IsNaN(test.P) || len(test.Warnings) != 1 {
			t.Errorf("%s: %+v", name, test)
		}
	}
}
