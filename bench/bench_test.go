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

func samples(n int, ttft, step float64) []Sample {
	var all []Sample
	for i := range n {
		s := Sample{Engine: "a", Scenario: "short", Mode: Cached, Batch: 2, PromptTokens: 10, NewTokens: 5, TTFT: ttft + float64(i)*0.01, PeakRSS: int64(i)}
		for range 4 {
			s.Gaps = append(s.Gaps, step)
		}
		s.E2E = s.TTFT + 4*step
		all = append(all, s)
	}
	return all
}

func TestRowsKeepToTheirDefinitions(t *testing.T) {
	all := Rows(samples(9, 20, 5))
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
	s := samples(6, 20, 5)
	s = append(s, Sample{Engine: "a", Scenario: "short", Mode: Cached, TTFT: 1e9, Failure: Classify(errNonFinite)})
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
		// as internal/child tells of a death
		"process ort (pid 7) was killed by SIGKILL from outside (it held 3 MiB when last looked at)":       Died,
		"process ort (pid 7) crashed in native code: SIGSEGV (segmentation fault)":                         Died,
		"process ort (pid 7) was killed: its process tree held 9 GiB of memory, the limit is 8 GiB":        Memory,
		"process ort (pid 7) was killed: the job took longer than 10m0s":                                   Timeout,
		"process ort (pid 7) was killed: it said nothing for 30s, a heartbeat is due every 2s":             Timeout,
		"exceeds its profile; its stderr ends with: binding dims must lie within the profile's dimensions": Shape,
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
	engines := []string{"a", "b", "c"}
	turns := Order(7, engines, 2, Share(80, 40))
	if len(turns) != 240 {
		t.Fatalf("%d turns, want 240", len(turns))
	}
	first := map[string]int{}
	for i := 0; i < len(turns); i += 6 {
		seen := map[string]bool{}
		for _, turn := range turns[i : i+6] {
			seen[fmt.Sprint(turn.Engine, turn.Case)] = true
			if turn.Round != i/6 || turn.Repetitions != 2 {
				t.Errorf("turn %+v in round %d", turn, i/6)
			}
		}
		if len(seen) != 6 {
			t.Errorf("round %d has %v", i/6, seen)
		}
		first[turns[i].Engine]++
	}
	for _, e := range engines {
		if first[e] < 5 || first[e] > 25 {
			t.Errorf("%s came first in %d of 40 rounds", e, first[e])
		}
	}
	if again := Order(7, engines, 2, Share(80, 40)); !slices.Equal(again, turns) {
		t.Error("the same seed gave another order")
	}
	if got := Share(7, 3); !slices.Equal(got, []int{3, 2, 2}) {
		t.Errorf("7 in 3 rounds are %v", got)
	}
	if got := Share(2, 5); !slices.Equal(got, []int{1, 1}) {
		t.Errorf("2 in 5 rounds are %v", got)
	}
}

func TestPrompts(t *testing.T) {
	c := Case{Scenario: profiles.Scenario{Batch: 2, PromptTokens: 3}}
	text, err := c.Prompts([]int64{1, 2, 3, 4}, 10, 0)
	if err != nil || !slices.Equal(text[0], []int64{1, 2, 3}) || !slices.Equal(text[1], []int64{4, 1, 2}) {
		t.Errorf("from text: %v, %v", text, err)
	}
	a, _ := c.Prompts(nil, 10, 5)
	b, _ := c.Prompts(nil, 10, 5)
	for i := range a {
		if !slices.Equal(a[i], b[i]) || slices.Max(a[i]) > 9 || slices.Min(a[i]) < 0 {
			t.Errorf("from a seed: %v and %v", a, b)
		}
	}
	if _, err := c.Prompts([]int64{1, 10}, 10, 0); err == nil || Classify(err).Class != Vocabulary {
		t.Errorf("a token that the vocabulary lacks: %v", err)
	}
}

func TestIsSteady(t *testing.T) {
	w := Warmup{Within: 0.1}.filled()
	noisy := []float64{10, 13, 9, 12, 11, 10, 13, 9, 12, 11}
	falling := []float64{30, 24, 20, 17, 15, 13, 11.4, 10, 8.8, 7.8}
	for _, c := range []struct {
		took  []float64
		known float64
		want  bool
	}{
		{[]float64{1, 1}, 0, false}, {[]float64{9, 1, 1.05, 1}, 0, true}, {[]float64{1, 1, 2}, 0, false},
		{[]float64{1.05}, 1, true}, {[]float64{1.2}, 1, false}, {noisy, 0, true}, {noisy[:9], 0, false}, {falling, 0, false},
	} {
		if got := w.isSteady(c.took, c.known); got != c.want {
			t.Errorf("isSteady(%v, %g) = %v", c.took, c.known, got)
		}
	}
}

// One sample, samples without spread and requests of one token are figures with
// their doubts, not faults.
func TestRowsOfLittle(t *testing.T) {
	one, _ := rows.Find(Rows(samples(1, 20, 5)), "a", "short", Decode, TPOT)
	if one.Value != 5 || !math.IsInf(one.Lo, -1) || len(one.Warnings) == 0 {
		t.Errorf("one sample: %+v", one)
	}
	var same []Sample
	for range 8 {
		same = append(same, samples(1, 20, 5)...)
	}
	flat, _ := rows.Find(Rows(same), "a", "short", Prefill, TTFT)
	if flat.Value != 20 || flat.Lo != 20 || flat.Hi != 20 {
		t.Errorf("no spread: %+v", flat)
	}
	single := samples(6, 20, 5)
	for i := range single {
		single[i].NewTokens, single[i].Gaps, single[i].E2E = 1, nil, single[i].TTFT
	}
	if _, found := rows.Find(Rows(single), "a", "short", Decode, TPOT); found {
		t.Error("requests of one token have a time per further token")
	}
}

// Memory that an earlier scenario left is not this one's: the turn without counts.
func TestPeakIsTheLeastTurns(t *testing.T) {
	all := samples(6, 20, 5)
	for i := range all {
		all[i].Round, all[i].PeakRSS = i/2, []int64{90, 80, 40, 50, 0, 70}[i]
	}
	if r, _ := rows.Find(Rows(all), "a", "short", "", PeakRSS); r.Value != 50 {
		t.Errorf("%+v", r)
	}
}

func TestRowsTellModesApart(t *testing.T) {
	all := samples(6, 20, 5)
	for _, s := range samples(6, 40, 50) {
		s.Mode, s.Run, s.Load, s.Warnings = Uncached, 0.9*s.E2E, 12, []string{"hot"}
		all = append(all, s)
	}
	r := Rows(all)
	cached, _ := rows.Find(r, "a", "short", Decode, TPOT)
	uncached, _ := rows.Find(r, "a", "short", string(Uncached), TPOT)
	overhead, _ := rows.Find(r, "a", "short", string(Uncached), Overhead)
	load, _ := rows.Find(r, "a", "", "", Load)
	if cached.Value != 5 || uncached.Value != 50 || math.Abs(overhead.Value-0.1) > 1e-12 || load.Value != 12 || load.N != 6 {
		t.Errorf("cached %+v, uncached %+v, overhead %+v, load %+v", cached, uncached, overhead, load)
	}
	if !slices.Contains(uncached.Warnings, "hot (6 of 6 requests)") || len(cached.Warnings) != 0 {
		t.Errorf("warnings %v and %v", uncached.Warnings, cached.Warnings)
	}
}

// The 99 % quantile of gaps is that of all requests together, and one slow token in a
// hundred shows in it where no request's median has it.
func TestGapsOfAllRequests(t *testing.T) {
	if _, found := rows.Find(Rows(samples(9, 20, 5)), "a", "short", Decode, GapP99); found {
		t.Error("36 gaps have a 99 % quantile")
	}
	all := samples(200, 20, 5)
	for i := range all {
		if i%20 == 0 {
			all[i].Gaps[2] = 50
		}
	}
	r, _ := rows.Find(Rows(all), "a", "short", Decode, GapP99)
	if r.N != 800 || r.Value < 5 || r.Lo != 5 || r.Hi != 50 {
		t.Errorf("%+v", r)
	}
}
