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

// prose is text of so many different tokens as language has.
func prose(seed uint64, n int) []int64 {
	r := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = r.Int64N(500)
	}
	return ids
}

func TestOverlapIsFoundWhereItIs(t *testing.T) {
	evaluation := prose(1, 3000)
	for _, c := range []struct{ at, from, tokens int }{{0, 0, 32}, {500, 2968, 32}, {968, 0, 32}, {100, 1000, 700}} {
		calibration := prose(2, 1000+c.tokens)
		copy(calibration[c.at:], evaluation[c.from:c.from+c.tokens])
		s, found := FirstShared(calibration, evaluation, 32)
		// What stands beside the copy may agree by chance.
		if !found || s.Calibration > c.at || s.Calibration < c.at-4 || s.Calibration-s.Evaluation != c.at-c.from || s.Tokens < c.tokens {
			t.Errorf("copy %+v: found %v %+v", c, found, s)
		}
		copy(calibration[c.at:], prose(3, c.tokens))
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
	found := 0
	for range 1000 {
		draw := func() []int64 {
			ids := make([]int64, r.IntN(40))
			for i := range ids {
				ids[i] = r.Int64N(3)
			}
			return ids
		}
		a, b, n := draw(), draw(), 1+r.IntN(4)
		want := len(a) > 0 && len(b) > 0 && contains(a, b, min(n, len(a), len(b)))
		_, got := FirstShared(a, b, n)
		// Of the places where a passage stands the first is looked at, and one that only
		// becomes no formula further on at another place is left out.
		if got && !want || want && !got && n < 4 {
			t.Fatalf("%v and %v share %d: %v, want %v", a, b, n, got, want)
		}
		if got {
			found++
		}
	}
	if found < 100 {
		t.Errorf("only %d pairs share something", found)
	}
}

// contains tells whether a passage of n or more is in both and is no formula.
func contains(a, b []int64, n int) bool {
	for i := range a {
		for j := range b {
			if l := common(a[i:], b[j:]); l >= n && varied(a[i:i+l], n) {
				return true
			}
		}
	}
	return false
}

// A formula is no leak however long it is, and hides none; equal texts are one
// whatever they hold.
func TestAFormulaIsNoLeak(t *testing.T) {
	formula := slices.Repeat([]int64{7, 8, 8, 9}, 3000)
	own := prose
	calibration := slices.Concat(own(1, 500), formula, own(2, 500))
	evaluation := slices.Concat(own(3, 400), formula[:40], own(4, 50), formula, own(5, 500))
	if s, found := FirstShared(calibration, evaluation, OverlapTokens); found {
		t.Errorf("a formula counts as leak: %+v", s)
	}
	leak := own(6, 100)
	calibration = slices.Concat(own(1, 500), formula[:40], leak, own(2, 500))
	evaluation = slices.Concat(own(3, 400), formula[:40], own(4, 50), formula[:40], leak, own(5, 500))
	want := Shared{Calibration: 500, Evaluation: 490, Tokens: 140}
	if s, found := FirstShared(calibration, evaluation, OverlapTokens); !found || s != want {
		t.Errorf("a leak behind a formula: %v %+v, want %+v", found, s, want)
	}
	if s, found := FirstShared(formula, formula, OverlapTokens); !found || s.Tokens != len(formula) {
		t.Errorf("the same text: %v %+v", found, s)
	}
}

func TestOverlapSaysWhere(t *testing.T) {
	ids := prose(1, 200)
	words := func(ids []int64) string { return strings.Repeat("word\n", len(ids)) }
	err := Overlap(Text{Name: "c.txt", IDs: ids[50:], Words: words}, Text{Name: "e.ids", IDs: ids})
	if fault.Classify(err) != fault.Usage {
		t.Fatalf("%v, want a usage error", err)
	}
	for _, want := range []string{"c.txt: 150 tokens from line 1 (token 0) on stand in e.ids, too, from token 50 on", `: "word\n`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	err = Overlap(Text{Name: "c.ids", IDs: ids}, Text{Name: "e.txt", IDs: ids[50:], Words: words})
	if want := "from token 50 on stand in e.txt, too, from line 1 (token 0) on"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v lacks %q", err, want)
	}
	err = Overlap(Text{Name: "c.txt", IDs: ids, Words: words}, Text{Name: "e.txt", IDs: ids[50:], Words: words})
	if want := "from line 51 (token 50) on"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v lacks %q", err, want)
	}
	if err := Overlap(Text{IDs: prose(1, 500)}, Text{IDs: prose(2, 500)}); err != nil {
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
