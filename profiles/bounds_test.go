package profiles

import (
	"strings"
	"testing"
	"time"
)

var threeSteps = Workload{Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 2, NewTokens: 3}}}

// What a user may type must not decide how long it takes.
func TestNumbersOfUsersAreBounded(t *testing.T) {
	start := time.Now()
	c := cached()
	for _, strategy := range []string{"auto", "bucketed"} {
		if _, err := Derive(c, threeSteps, Options{Strategy: strategy, MaxProfiles: 999999999999}); err != nil {
			t.Errorf("%s: %v", strategy, err)
		}
	}
	if _, err := Derive(c, threeSteps, Options{Strategy: "auto", MaxProfiles: -1}); err == nil || !strings.Contains(err.Error(), "at most -1") {
		t.Errorf("-1 profiles: %v", err)
	}
	if _, err := ParseLengths("hist:"+strings.Repeat("0..2097152=1,", 200)+"1=1+4", 0, false); err == nil || !strings.Contains(err.Error(), "lengths together") {
		t.Errorf("wide bins: %v", err)
	}
	r, err := ParseLengths("uniform:1..60000+8", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	w := Workload{Requests: []*Requests{r}, Chunk: 1}
	demand := Demand(w)
	gaps := make([]Gap, len(demand))
	for i, s := range demand {
		gaps[i].Shape = s
	}
	w.Attribute(gaps)
	for _, g := range gaps {
		if len(g.Asked) != 1 {
			t.Fatalf("%s is asked for by %v", g.Shape, g.Asked)
		}
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %s", d)
	}
}

func TestIndexMeetsWhatAPlainSearchMeets(t *testing.T) {
	r, err := ParseLengths("hist:3=1,7..9=4,20=1 + hist:2=1,9=1", 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []int{0, 4} {
		demand := Demand(Workload{Requests: []*Requests{r}, Chunk: chunk, Batches: []int{1, 2, 5}})
		all := index(demand)
		for batch := range 7 {
			for past := range 32 {
				for seq := 1; seq < 24; seq++ {
					for _, phase := range []Phase{Prefill, ChunkedPrefill, Decode} {
						s := Shape{Phase: phase, Batch: batch, Seq: seq, Past: past}
						want := false
						for _, d := range demand {
							want = want || d.meets(s)
						}
						if all.meets(s) != want {
							t.Fatalf("chunk %d: %s: want %t", chunk, s, want)
						}
					}
				}
			}
		}
	}
}

// Of a static cache the past is no part of a shape: one profile holds all, and
// what is the same shape is one profile.
func TestStaticKVInOneProfile(t *testing.T) {
	for _, o := range []Options{{Strategy: "static-kv", Reach: First}, {Strategy: "auto", Reach: First}, {Strategy: "static-kv", MaxProfiles: 1}} {
		p := derive(t, static(64), chat, o)
		if len(p.Profiles) != 1 || p.Strategy != "static-kv" {
			t.Fatalf("%+v: %d profiles of %s", o, len(p.Profiles), p.Strategy)
		}
		if s := p.Profiles[0].Seq; s != (Span{Min: 1, Opt: 1, Max: 40}) {
			t.Errorf("%+v: seq %v", o, s)
		}
	}
	single := Workload{Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 9, NewTokens: 5}}, Chunk: 1}
	if p := derive(t, static(64), single, Options{Strategy: "static-kv"}); len(p.Profiles) != 1 {
		t.Errorf("steps and chunks of one token: %d profiles", len(p.Profiles))
	}
}
