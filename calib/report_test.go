package calib

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// TestOutliers plants two channels that dominate and one that is dead.
func TestOutliers(t *testing.T) {
	const width, rows = 64, 4000
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, width*rows)
	for i := range values {
		switch c := i % width; c {
		case 17:
			values[i] = float32(50 * r.NormFloat64())
		case 40:
			values[i] = float32(-20 + r.NormFloat64())
		case 3:
		default:
			values[i] = float32(r.NormFloat64())
		}
	}
	o := NewObservations([]string{"x", "never"})
	if err := o.Tensors["x"].add(values, width); err != nil {
		t.Fatal(err)
	}
	all, err := o.Outliers(Percentile(99), 2)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	x := all[0]
	if len(x.Dominant) != 2 || x.Dominant[0].Channel != 17 || x.Dominant[1].Channel != 40 {
		t.Fatalf("dominant channels %+v", x.Dominant)
	}
	if d := x.Dominant[0]; d.Absmax != max(-x.Lo, x.Hi) || d.Ratio < 40 || d.Ratio > 60 || x.Dominant[1].Ratio > 8 {
		t.Errorf("dominant channels %+v", x.Dominant)
	}
	clipped := 0
	for _, v := range values {
		if max(-v, v) > x.Amax {
			clipped++
		}
	}
	if share := float64(clipped) / float64(len(values)); math.Abs(x.Clipped-share) > 1e-4 || math.Abs(share-0.01) > 1e-4 {
		t.Errorf("clipped %v, in fact %v", x.Clipped, share)
	}
	if x.Kurtosis < 50 || x.Deviation < 6 || x.Deviation > 8 {
		t.Errorf("kurtosis %v, deviation %v", x.Kurtosis, x.Deviation)
	}
	if none, err := o.Outliers(Absmax(), 0); err != nil || none[0].Clipped != 0 || len(none[0].Dominant) != 0 {
		t.Errorf("absmax clips %+v, %v", none, err)
	}
}

// TestMomentsKeepTheirDigits: a small spread about a large mean, in pieces and
// merged, where power sums about zero have no digit left.
func TestMomentsKeepTheirDigits(t *testing.T) {
	whole, halves := &Observation{}, [2]Observation{}
	for i := range 64 * pieceLength / 2048 {
		piece := make([]float32, 2048)
		for k := range piece {
			piece[k] = 1<<20 + float32(k%2) + float32(i%4)
		}
		if err := whole.add(piece, 0); err != nil {
			t.Fatal(err)
		}
		if err := halves[i%2].add(piece, 0); err != nil {
			t.Fatal(err)
		}
	}
	merged := &Observation{}
	merged.Merge(&halves[1])
	merged.Merge(&halves[0])
	// The sum of 0, 1 and 0, 1, 2, 3, each equally often: variance 1/4 + 5/4,
	// fourth moment 1/16 + 6*(1/4)(5/4) + 41/16.
	for _, o := range []*Observation{whole, merged} {
		if k := o.Kurtosis(); math.Abs(o.Deviation()-math.Sqrt(1.5)) > 1e-9 || math.Abs(k-4.5/2.25) > 1e-9 || o.Moments.Mean != 1<<20+2 {
			t.Errorf("mean %v, deviation %v, kurtosis %v", o.Moments.Mean, o.Deviation(), k)
		}
	}
}

// TestLeastSquaresFarBelowAbsmax: where one value in a million is far out, the
// threshold's true error is the least that any has, within a part in a thousand.
func TestLeastSquaresFarBelowAbsmax(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	values := make([]float32, 1<<20)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	values[77] = 300
	h := fill(t, [][]float32{values})
	of := func(threshold float64) (sum float64) {
		s := threshold / 127
		for _, v := range values {
			d := float64(v) - s*max(-127, min(127, math.RoundToEven(float64(v)/s)))
			sum += d * d
		}
		return sum
	}
	got, err := MSE().Amax(h)
	if err != nil {
		t.Fatal(err)
	}
	least, at := math.Inf(1), 0.0
	for x := 300.0; x > 1; x /= 1.1 {
		if e := of(x); e < least {
			least, at = e, x
		}
	}
	if e := of(float64(got)); e > 1.001*least || at > 100 {
		t.Errorf("threshold %v has the error %v, %v has %v", got, e, at, least)
	}
}

func TestDrift(t *testing.T) {
	table := func(change func(*Table)) *Table {
		s := sample()
		s.Ranges["a"], s.Ranges["b"], s.Ranges["zero"] = Range{Amax: 2}, Range{Amax: 4}, Range{}
		change(s)
		return s
	}
	same := table(func(*Table) {})
	within := table(func(s *Table) { s.Ranges["a"], s.Text = Range{Amax: 2.09}, "another" })
	if d := Compare(same, within, 5); d.Err() != nil || len(d.Tensors) != 5 || math.Abs(d.Tensors[2].Percent-4.5) > 1e-4 || d.Tensors[2].Exceeds {
		t.Errorf("%v, %+v", d.Err(), d)
	}
	far := table(func(s *Table) {
		s.Model, s.Method = "ef", "mse"
		s.Ranges["a"], s.Ranges["zero"], s.Ranges["new"] = Range{Amax: 1.8}, Range{Amax: 1}, Range{Amax: 1}
		delete(s.Ranges, "b")
	})
	err := Compare(same, far, 5).Err()
	if fault.Exit(err) != 1 {
		t.Fatalf("%v, want a failed check", err)
	}
	for _, want := range []string{"model ab", "of ef", "percentile:99.99", "by mse", "tensor b is not in this table", "tensor new is not in the committed", "tensor a moved by -10.00 %", "tensor zero moved by +100"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestRandomAndVocabulary(t *testing.T) {
	if _, err := Random(10, 5, 1, false); fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), "random") {
		t.Errorf("random data: %v", err)
	}
	ids, err := Random(1000, 5, 1, true)
	if err != nil || CheckIDs(ids, 5) != nil || CheckIDs(ids, 4) == nil {
		t.Errorf("%v, %v", ids[:5], err)
	}
	ids[7], ids[9] = 5, -1
	if err := CheckIDs(ids, 5); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "token 7 is 5") || !strings.Contains(err.Error(), "2 such tokens") {
		t.Errorf("%v", err)
	}
	// sha256 of 01 00 00 00 ff ff 00 00, by sha256sum.
	if got := TextDigest([]int64{1, 65535}); got != "8e414ec2139eb2e6098c59fdf431949d10a8aaec545858efb78752293618bd11" {
		t.Errorf("digest %s", got)
	}
}
