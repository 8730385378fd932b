package search

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/validate"
)

// TestComparisonIsTheDefinition holds KL and NLL to their textbook forms in
// float64, in batches and for a choice next to the float model.
func TestComparisonIsTheDefinition(t *testing.T) {
	const vocab, length, n = 301, 9, 3
	r := rand.New(rand.NewPCG(1, 1))
	ids := make([]int, n*length)
	for i := range ids {
		ids[i] = r.IntN(vocab)
	}
	windows := validate.Convention{Name: validate.HFNonOverlap, Length: length}.Windows(ids)
	var float, other [][]float32
	kl, dnll := make([]float64, n), make([]float64, n)
	for i := range n * (length - 1) {
		a, b := make([]float32, vocab), make([]float32, vocab)
		za, zb := 0.0, 0.0
		for k := range a {
			a[k] = float32(5 * r.NormFloat64())
			b[k] = a[k] + float32(1e-3*r.NormFloat64())
			za, zb = za+math.Exp(float64(a[k])), zb+math.Exp(float64(b[k]))
		}
		for k := range a {
			p := math.Exp(float64(a[k])) / za
			kl[i/(length-1)] += p * math.Log(p/(math.Exp(float64(b[k]))/zb)) / (length - 1)
		}
		target := windows[i/(length-1)].IDs[i%(length-1)+1]
		dnll[i/(length-1)] += (math.Log(zb) - float64(b[target]) - math.Log(za) + float64(a[target])) / (length - 1)
		float, other = append(float, a), append(other, b)
	}
	want, err := NewMeasurement(kl, dnll)
	if err != nil {
		t.Fatal(err)
	}
	reference, err := NewReference(windows, vocab)
	if err != nil {
		t.Fatal(err)
	}
	c := reference.Compare()
	for first := 0; first < len(float); first += 8 {
		if err := reference.Keep(first, float[first:first+8]); err != nil {
			t.Fatal(err)
		}
		if err := c.Add(first, other[first:first+8]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := c.Measurement()
	if err != nil {
		t.Fatal(err)
	}
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-10 } // probabilities are kept in float32
	if !near(got.KL.Value, want.KL.Value) || !near(got.KL.Hi, want.KL.Hi) || math.Abs(got.PPL.Value-want.PPL.Value) > 1e-9 {
		t.Errorf("%+v, want %+v", got, want)
	}

	other[3][7] = float32(math.NaN())
	if err := c.Add(0, other[:8]); err != nil {
		t.Fatal(err)
	}
	if got, _ := c.Measurement(); !math.IsInf(got.KL.Value, 1) || (Gate{KLMax: 1e9}).Holds(got) {
		t.Errorf("a NaN measured %+v", got)
	}
	float[0][0] = float32(math.Inf(1))
	if err := reference.Keep(0, float[:8]); fault.Classify(err) != fault.Input {
		t.Errorf("a float model with an infinity: %v", err)
	}
	if _, err := NewReference(windows, 1<<27); fault.Classify(err) != fault.Usage {
		t.Errorf("a reference beyond the bound: %v", err)
	}
}

// TestTokensThatNeverCome: what both models mask with -Inf costs nothing.
func TestTokensThatNeverCome(t *testing.T) {
	windows := validate.Convention{Name: validate.HFNonOverlap, Length: 2}.Windows([]int{1, 2, 2, 1})
	never := float32(math.Inf(-1))
	reference, err := NewReference(windows, 4)
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]float32{{never, 1, 2, 3}, {never, 3, 2, 1}}
	c := reference.Compare()
	if err := errors.Join(reference.Keep(0, rows), c.Add(0, rows)); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Measurement(); err != nil || got.KL.Value != 0 || got.PPL.Value != 1 {
		t.Errorf("the float model against itself: %+v, %v", got, err)
	}
}
