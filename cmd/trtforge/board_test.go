package main

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/profiles"
)

// The table that fills: medians with their interval from six requests on, what failed
// by its class, a mark at the turn that runs; where it is too long, what is near that.
func TestBoardText(t *testing.T) {
	v := trial.View{Systems: []string{"fp32", "int8"}, Running: true, Turn: bench.Turn{Engine: "int8", Case: 1}}
	for _, name := range []string{"short", "long"} {
		v.Cases = append(v.Cases, bench.Case{Scenario: profiles.Scenario{Name: name, Batch: 1, PromptTokens: 8, NewTokens: 3}})
	}
	for i := range 6 {
		v.Samples = append(v.Samples, bench.Sample{Engine: "fp32", Scenario: "short", Mode: bench.Cached, NewTokens: 3, TTFT: 20, E2E: 32 + float64(i)})
	}
	v.Samples = append(v.Samples,
		bench.Sample{Engine: "int8", Scenario: "short", Mode: bench.Cached, NewTokens: 1, TTFT: 1234, E2E: 1234},
		bench.Sample{Engine: "int8", Scenario: "short", Mode: bench.Cached, Failure: &bench.Failure{Class: bench.Died}})
	want := `  engine  scenario          TTFT          TPOT requests
  fp32    short      20.0 ms ±0%  7.25 ms ±17%        6
  int8    short           1.23 s             -        1  1 failed: died
  fp32    long                 -             -        0
› int8    long                 -             -        0`
	if got := strings.Join(boardText(v, 10), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = `  engine  scenario          TTFT          TPOT requests
  fp32    long                 -             -        0
› int8    long                 -             -        0
  … 2 of 4 lines`
	if got := strings.Join(boardText(v, 4), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
