package bench

import (
	"fmt"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

func TestCases(t *testing.T) {
	chat := profiles.Scenario{Name: "chat", Batch: 2, PromptTokens: 9, NewTokens: 4}
	free := profiles.Scenario{Name: "free", PromptTokens: 5, NewTokens: 2}
	requests := []Request{{3, 2}, {8, 1}, {4, 4}}
	for name, c := range map[string]struct {
		w    profiles.Workload
		s    Spread
		want string
	}{
		"plain":     {profiles.Workload{Scenarios: []profiles.Scenario{chat, free}}, Spread{}, "[chat/2x9+4 free/1x5+2]"},
		"batches":   {profiles.Workload{Scenarios: []profiles.Scenario{free}, Batches: []int{4, 1}}, Spread{}, "[free-b1/1x5+2 free-b4/4x5+2]"},
		"batch max": {profiles.Workload{Scenarios: []profiles.Scenario{free}, BatchMax: 2}, Spread{}, "[free-b1/1x5+2 free-b2/2x5+2]"},
		"both":      {profiles.Workload{Scenarios: []profiles.Scenario{chat}, Mode: profiles.Both}, Spread{}, "[chat/2x9+4 chat uncached/2x9+4]"},
		"chunk":     {profiles.Workload{Scenarios: []profiles.Scenario{chat}, Chunk: 4}, Spread{}, "[chat chunked/2x9+4]"},
		"all": {profiles.Workload{Scenarios: []profiles.Scenario{chat}, Chunk: 4}, Spread{Modes: []Mode{Cached, Uncached, Chunked}, Depths: []int{0, 8}},
			"[chat/2x9+4 chat@d8/2x9+4 chat uncached/2x9+4 chat chunked/2x9+4 chat@d8 chunked/2x9+4]"},
		"trace": {profiles.Workload{}, Spread{Requests: requests}, "[trace/1x8+1]"},
	} {
		all, err := Cases(c.w, c.s)
		var got []string
		for _, one := range all {
			got = append(got, fmt.Sprintf("%s/%dx%d+%d", one.Key(), one.Batch, one.PromptTokens, one.NewTokens))
		}
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s; error %v", name, got, c.want, err)
		}
	}
	for _, w := range []profiles.Workload{{Scenarios: []profiles.Scenario{chat}, PaddedPast: true}, {Scenarios: []profiles.Scenario{{Name: "x"}}}} {
		if _, err := Cases(w, Spread{}); fault.Classify(err) != fault.Usage {
			t.Errorf("%+v: %v", w, err)
		}
	}
	if _, err := Cases(profiles.Workload{Scenarios: []profiles.Scenario{chat}}, Spread{Modes: []Mode{Chunked}}); err == nil {
		t.Error("chunks of no size were taken")
	}
}

func TestDrawIsFairAndSeeded(t *testing.T) {
	count := map[int]int{}
	for seed := range uint64(2000) {
		d, again := NewDraw(5, seed), NewDraw(5, seed)
		for i := range 20 {
			d.Add(i+1, 0)
			again.Add(i+1, 0)
		}
		if !slices.Equal(d.Requests, again.Requests) || len(d.Requests) != 5 || d.Requests[0].NewTokens != 1 {
			t.Fatalf("drew %v and %v", d.Requests, again.Requests)
		}
		for _, r := range d.Requests {
			count[r.PromptTokens]++
		}
	}
	for i := range 20 { // 500 times each, give or take five standard deviations
		if n := count[i+1]; n < 400 || n > 600 {
			t.Errorf("request %d was drawn %d times of 2000", i+1, n)
		}
	}
}
