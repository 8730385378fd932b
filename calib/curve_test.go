package calib

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// TestUntilStable: quiet tensors end a calibration at the least number of
// samples, one that keeps growing never does, and one that grows at first does
// once twice as many samples have passed.
func TestUntilStable(t *testing.T) {
	grows := func(until int) func(run int) float64 {
		return func(run int) float64 { return 1 + float64(min(run, until)) }
	}
	for name, c := range map[string]struct {
		scale func(run int) float64
		want  int // samples; 0: it runs to its end
	}{
		"quiet":  {grows(0), 16},
		"grows":  {grows(1000), 0},
		"at 12":  {grows(11), 24}, // the 12th is the last to move
		"at 30":  {grows(29), 60},
		"little": {func(run int) float64 { return 1 + 0.0001*float64(run) }, 16},
		"coarse": {grows(0), 40}, // of 8, 16, 24, …: 16, 24 and 32 are compared
	} {
		batch := 1
		if name == "coarse" {
			batch = 8
		}
		fc, job := fakeJob(t, 80, PlanOptions{Batch: batch, Prefill: []int{6}})
		job.Until = &Until{Percent: 1, Least: 16}
		r := &fake{width: 4}
		r.scale = func(int64, int64) float64 { return c.scale(r.runs - 1) }
		o, err := Collect(context.Background(), constant{r}, fc, job, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.want == 0 && (o.Stopped != nil || o.Samples != 80):
			t.Errorf("%s: %v after %d samples", name, o.Stopped, o.Samples)
		case c.want > 0 && (o.Stopped == nil || o.Samples < c.want || o.Samples > c.want+2):
			t.Errorf("%s: stopped %v after %d samples, want %d", name, o.Stopped, o.Samples, c.want)
		}
		if o.Stopped != nil && (o.Stopped.Moved > 1 || 2*o.Stopped.Since > o.Stopped.Samples || !o.Whole()) {
			t.Errorf("%s: %+v", name, *o.Stopped)
		}
	}
}

// constant feeds a fake the same tokens always.
type constant struct{ *fake }

func (c constant) Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error) {
	for i, f := range feeds {
		if f.Name == "input_ids" {
			clear(feeds[i].Bytes)
		}
	}
	return c.fake.Run(feeds, fetch)
}

// TestCurveIsBoundedAndEven: a long calibration keeps few points, evenly spaced,
// and its amax is that of the samples so far.
func TestCurveIsBoundedAndEven(t *testing.T) {
	c, job := fakeJob(t, 300, PlanOptions{Batch: 1, Prefill: []int{3}})
	o := collect(t, c, job)
	n := len(o.Curve.Samples)
	if n < curvePoints/2 || n >= curvePoints || o.Curve.Every != 8 {
		t.Errorf("%d points, one in %d batches", n, o.Curve.Every)
	}
	for i, s := range o.Curve.Samples {
		if s != o.Curve.Every*(i+1) {
			t.Fatalf("points at %v samples, want every %d", o.Curve.Samples, o.Curve.Every)
		}
	}
	for name, a := range o.Curve.Amax {
		if len(a) != n || !slices.IsSorted(a) || a[n-1] > o.Tensors[name].Amax() {
			t.Errorf("%s: %v, at last %v", name, a, o.Tensors[name].Amax())
		}
	}
}

func TestSettled(t *testing.T) {
	c := &Curve{Samples: []int{4, 8, 12, 16}, Amax: map[string][]float32{"a": {1, 2, 2.5, 2.51}, "b": {3, 3, 3, 3}, "c": {1, 2, 3, 4}, "d": {0, 0, 0, 0}}}
	got := c.Settled(1)
	for name, want := range map[string]int{"a": 12, "b": 4, "c": 16, "d": 4} {
		if got[name] != want {
			t.Errorf("%s settled after %d samples, want %d", name, got[name], want)
		}
	}
}

func TestParseUntil(t *testing.T) {
	if u, err := ParseUntil("0.5%"); err != nil || u.Percent != 0.5 || u.Least != 16 {
		t.Errorf("%v, %v", u, err)
	}
	for _, bad := range []string{"", "%", "0", "-1%", "100%", "NaN", "x"} {
		if _, err := ParseUntil(bad); fault.Classify(err) != fault.Usage {
			t.Errorf("%q: %v, want a usage error", bad, err)
		}
	}
	if by := shift(0, 3); by != 100 || shift(3, 0) != math.Inf(1) {
		t.Errorf("from 0 to 3 is %v %%", by)
	}
}

// TestMovingIsTheSecondHalf: what came to rest in the first half of the samples has
// settled, and a stop rule's percentage is what counts.
func TestMovingIsTheSecondHalf(t *testing.T) {
	o := NewObservations([]string{"calm", "late"})
	if got := o.Moving(); got != nil {
		t.Errorf("without a curve: %v", got)
	}
	o.Curve = &Curve{Every: 1, Samples: []int{4, 8, 12, 16}, Amax: map[string][]float32{"calm": {1, 2, 2, 2}, "late": {1, 2, 2, 2.1}}}
	if got := o.Moving(); len(got) != 1 || got[0] != "late" {
		t.Errorf("moving: %v, want late", got)
	}
	o.Until = &Until{Percent: 10}
	if got := o.Moving(); got != nil {
		t.Errorf("within 10 %%: %v", got)
	}
}
