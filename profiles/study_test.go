package profiles

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// study is the published workload and profiles of a study in which 200 of 720
// runs died of shapes.
type study struct {
	Scenarios []Scenario
	Profiles  []struct{ Batch, Seq [3]int64 }
}

func readStudy(t *testing.T) study {
	t.Helper()
	b, err := os.ReadFile("testdata/study.json")
	if err != nil {
		t.Fatal(err)
	}
	var s study
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// published is the study's profiles; its graphs take ids and mask, no cache.
func (s study) published() []Profile {
	var all []Profile
	for _, p := range s.Profiles {
		at := func(i int) []int64 { return []int64{p.Batch[i], p.Seq[i]} }
		profile := Profile{}
		for _, name := range []string{"input_ids", "attention_mask"} {
			profile.Inputs = append(profile.Inputs, Range{Input: name, Min: at(0), Opt: at(1), Max: at(2)})
		}
		all = append(all, profile)
	}
	return all
}

// distinct counts shapes by batch and sequence, as the study does: a prefill and
// a step of the same shape are one.
func distinct(shapes []Shape) map[int]int {
	seen := map[[2]int]bool{}
	counts := map[int]int{}
	for s := range Each(shapes) {
		if k := [2]int{s.Batch, s.Seq}; !seen[k] {
			seen[k] = true
			counts[s.Batch]++
		}
	}
	return counts
}

func TestStudy(t *testing.T) {
	s := readStudy(t)
	for _, v := range []struct {
		name          string
		feedLast      bool
		shapes        int
		single, batch int // not reached by the first profile
	}{
		{"as published", false, 43, 2, 16},
		{"the last token is fed too", true, 45, 3, 17},
	} {
		t.Run(v.name, func(t *testing.T) {
			demand := Demand(Workload{Mode: Uncached, Scenarios: s.Scenarios, FeedLast: v.feedLast})
			if n := Distinct(demand); n != v.shapes {
				t.Errorf("%d distinct shapes, want %d", n, v.shapes)
			}
			if n := distinct(demand); n[1]+n[4] != v.shapes || len(n) != 2 {
				t.Errorf("shapes by batch: %v, want %d in all", n, v.shapes)
			}
			if gaps := Check(uncached(), s.published(), demand, Any); len(gaps) != 0 {
				t.Errorf("%d gaps where any profile can be reached: %v", len(gaps), gaps[0])
			}
			var out []Shape
			blocks, serving := Replay(uncached(), s.published(), demand, First)
			for i, b := range blocks {
				if serving[i] < 0 {
					out = append(out, b)
				}
			}
			for _, g := range Check(uncached(), s.published(), demand, First) {
				if g.Profile != 0 || !strings.Contains(g.String(), "profile 0 holds") {
					t.Errorf("%s: nearest is profile %d: %s", g.Shape, g.Profile, g)
				}
			}
			if n := distinct(out); n[1] != v.single || n[4] != v.batch {
				t.Errorf("not reached by batch: %v, want %d of batch 1 and %d of batch 4", n, v.single, v.batch)
			}
		})
	}
}
