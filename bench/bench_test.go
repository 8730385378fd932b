package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

func samples(engine string, n int, ttft, step float64) []Sample {
	var all []Sample
	for i := range n {
		s := Sample{Engine: engine, Scenario: "short", Batch: 2, PromptTokens: 10, NewTokens: 5, TTFT: ttft + float64(i)*0.01, PeakRSS: int64(i)}
		for range 4 {
			s.Gaps = append(s.Gaps, step)
		}
		s.E2E = s.TTFT + 4*step
		all = append(all, s)
	}
	return all
}

func TestRowsKeepToTheirDefinitions(t *testing.T) {
	all := Rows(samples("a", 9, 20, 5))
	want := map[string]float64{TTFT: 20.04, TPOT: 5, E2E: 40.04, PrefillRate: 1000 * 20 / 20.04, DecodeRate: 400, PeakRSS: 8, Failed: 0, GapP90: 5}
	seen := map[string]bool{}
	for _, r := range all {
		seen[r.Name] = true
		if w, ok := want[r.Name]; ok && math.Abs(r.Value-w) > 1e-9*(1+w) {
			t.Errorf("%s = %g, want %g", r.Name, r.Value, w)
		}
		if r.Name != PeakRSS && r.Name != Failed && (r.Lo > r.Value || r.Hi < r.Value || math.IsInf(r.Lo, 0) != (r.Name == TTFTP90)) {
			t.Errorf("%s has the interval %g to %g around %g", r.Name, r.Lo, r.Hi, r.Value)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("no row %s", name)
		}
	}
}

func TestFailuresNeverEnterFigures(t *testing.T) {
	s := samples("a", 6, 20, 5)
	s = append(s, Sample{Engine: "a", Scenario: "short", TTFT: 1e9, Failure: Classify(errNonFinite)})
	all := Rows(s)
	ttft, _ := rows.Find(all, "a", "short", Prefill, TTFT)
	failed, _ := rows.Find(all, "a", "short", "", Failed)
	if ttft.N != 6 || ttft.Hi > 21 {
		t.Errorf("a failed request entered the median: %+v", ttft)
	}
	if failed.Value != 1 || failed.N != 7 || !slices.Equal(failed.Warnings, []string{"non_finite (1): the logits hold NaN"}) {
		t.Errorf("the failure's row is %+v", failed)
	}
	only := Rows(s[6:])
	if len(only) != 1 || only[0].Name != Failed {
		t.Errorf("an engine that only fails has rows %+v", only)
	}
}

func TestClassify(t *testing.T) {
	for text, want := range map[string]Class{
		"std::bad_alloc": Memory, "job bench died of signal 9": Died, "engine ort: run timed out after 10m0s": Timeout,
		"Got invalid dimensions for input: ids": Shape, "weather": Other,
	} {
		if got := Classify(errors.New(text)).Class; got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
	if got := Classify(fmt.Errorf("x: %w", context.DeadlineExceeded)).Class; got != Timeout {
		t.Errorf("a deadline is %s", got)
	}
}

func TestOrderIsFairAndSeeded(t *testing.T) {
	engines, scenarios := []string{"a", "b", "c"}, []string{"s", "t"}
	turns := Order(7, engines, scenarios, 40)
	if len(turns) != 120 {
		t.Fatalf("%d turns, want 120", len(turns))
	}
	first := map[string]int{}
	for i := 0; i < len(turns); i += 3 {
		seen := map[string]bool{}
		for _, turn := range turns[i : i+3] {
			seen[turn.Engine] = true
			if turn.Round != i/3 || len(turn.Scenarios) != 2 {
				t.Errorf("turn %+v in round %d", turn, i/3)
			}
		}
		if len(seen) != 3 {
			t.Errorf("round %d has %v", i/3, seen)
		}
		first[turns[i].Engine]++
	}
	for _, e := range engines {
		if first[e] < 5 || first[e] > 25 {
			t.Errorf("%s came first in %d of 40 rounds", e, first[e])
		}
	}
	again := Order(7, engines, scenarios, 40)
	for i := range turns {
		if again[i].Engine != turns[i].Engine || !slices.Equal(again[i].Scenarios, turns[i].Scenarios) {
			t.Fatal("the same seed gave another order")
		}
	}
}

func TestPrompts(t *testing.T) {
	s := profiles.Scenario{Batch: 2, PromptTokens: 3}
	text := Prompts(s, []int64{1, 2, 3, 4}, 10, 0)
	if !slices.Equal(text[0], []int64{1, 2, 3}) || !slices.Equal(text[1], []int64{4, 1, 2}) {
		t.Errorf("from text: %v", text)
	}
	a, b := Prompts(s, nil, 10, 5), Prompts(s, nil, 10, 5)
	for i := range a {
		if !slices.Equal(a[i], b[i]) || slices.Max(a[i]) > 9 || slices.Min(a[i]) < 0 {
			t.Errorf("from a seed: %v and %v", a, b)
		}
	}
}

func TestIsSteady(t *testing.T) {
	for _, c := range []struct {
		took []float64
		want bool
	}{{[]float64{1, 1}, false}, {[]float64{9, 1, 1.05, 1}, true}, {[]float64{1, 1, 2}, false}} {
		if got := isSteady(c.took, 0.1); got != c.want {
			t.Errorf("isSteady(%v) = %v", c.took, got)
		}
	}
}
