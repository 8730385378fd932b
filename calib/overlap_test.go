package calib

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

func text(seed uint64, n int) []int64 {
	r := rand.New(rand.NewPCG(seed, 0))
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = r.Int64N(50)
	}
	return ids
}

func TestOverlapIsFoundWhereItIs(t *testing.T) {
	evaluation := text(1, 3000)
	for _, c := range []struct{ at, from, tokens int }{{0, 0, 32}, {500, 2968, 32}, {968, 0, 32}, {100, 1000, 700}} {
		calibration := text(2, 1000+c.tokens)
		copy(calibration[c.at:], evaluation[c.from:c.from+c.tokens])
		s, found := FirstShared(calibration, evaluation, 32)
		// What stands beside the copy may agree by chance.
		if !found || s.Calibration > c.at || s.Calibration < c.at-4 || s.Calibration-s.Evaluation != c.at-c.from || s.Tokens < c.tokens {
			t.Errorf("copy %+v: found %v %+v", c, found, s)
		}
		copy(calibration[c.at:], text(3, c.tokens))
		copy(calibration[c.at:], evaluation[c.from:c.from+25])
		if s, found := FirstShared(calibration, evaluation, 32); found {
			t.Errorf("25 tokens alike at %d count as overlap: %+v", c.at, s)
		}
	}
}

// TestOverlapAgreesWithComparing compares with the definition, on texts of so
// few different tokens that overlaps are common.
func TestOverlapAgreesWithComparing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	for range 300 {
		draw := func() []int64 {
			ids := make([]int64, r.IntN(40))
			for i := range ids {
				ids[i] = r.Int64N(3)
			}
			return ids
		}
		a, b, n := draw(), draw(), 1+r.IntN(8)
		want := len(a) > 0 && len(b) > 0 && contains(a, b, min(n, len(a), len(b)))
		if _, got := FirstShared(a, b, n); got != want {
			t.Fatalf("%v and %v share %d: %v, want %v", a, b, n, got, want)
		}
	}
}

func contains(a, b []int64, n int) bool {
	for i := 0; i+n <= len(a); i++ {
		for j := 0; j+n <= len(b); j++ {
			if slices.Equal(a[i:i+n], b[j:j+n]) {
				return true
			}
		}
	}
	return false
}

func TestOverlapSaysWhere(t *testing.T) {
	ids := text(1, 200)
	err := Overlap(ids[50:], ids, OverlapTokens, func(ids []int64) string { return fmt.Sprintf("%d words", len(ids)) })
	if fault.Classify(err) != fault.Usage {
		t.Fatalf("%v, want a usage error", err)
	}
	for _, want := range []string{"tokens 0 to 150", "at 50", `"24 words"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if err := Overlap(text(1, 500), text(2, 500), OverlapTokens, nil); err != nil {
		t.Errorf("different texts: %v", err)
	}
}

func TestPlanIsSpreadAndRepeatable(t *testing.T) {
	o := PlanOptions{Samples: 10, Prefill: []int{64, 16}, Decode: 8, Seed: 7, Limit: 100}
	p, err := NewPlan(1000, o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewPlan(1000, o)
	if err != nil || fmt.Sprint(p) != fmt.Sprint(again) {
		t.Errorf("the same options gave %v and %v, %v", p, again, err)
	}
	o.Seed = 8
	if other, err := NewPlan(1000, o); err != nil || fmt.Sprint(p) == fmt.Sprint(other) {
		t.Errorf("another seed gave the same plan, %v", err)
	}
	ordered := slices.SortedFunc(slices.Values(p.Samples), func(a, b Sample) int { return a.Start - b.Start })
	if slices.Equal(ordered, p.Samples) {
		t.Errorf("the samples come in the order of the text: %v", p)
	}
	for i, s := range ordered {
		if s.Start < 100*i || s.Start+s.Len() > 100*(i+1) {
			t.Errorf("sample %d %+v is not inside its tenth of the text", i, s)
		}
		if s.Prefill != o.Prefill[i%2] {
			t.Errorf("prefill lengths are not used in turn: %v", ordered)
		}
	}
	for name, o := range map[string]PlanOptions{
		"short text":     {Samples: 10, Prefill: []int{101}},
		"long window":    {Prefill: []int{60}, Decode: 5, Limit: 64},
		"empty prefill":  {Prefill: []int{0}},
		"negative steps": {Decode: -1},
	} {
		if _, err := NewPlan(1000, o); fault.Classify(err) != fault.Usage {
			t.Errorf("%s: %v, want a usage error", name, err)
		}
	}
}
