package report

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/profiles"
)

// sampleProfiles is a page with chunked prefill, a gap, and a second batch size.
func sampleProfiles(t *testing.T) Profiles {
	t.Helper()
	c := sampleContract()
	plan := samplePlan([]profiles.Scenario{{Name: "chat", Batch: 1, PromptTokens: 27, NewTokens: 60}, {Name: "batch", Batch: 4, PromptTokens: 200, NewTokens: 20, Weight: 5}})
	plan.Profiles[0].Seq.Max = 256
	for i := range plan.Profiles {
		p := &plan.Profiles[i]
		for _, in := range c.Inputs {
			shape := func(of func(profiles.Span) int) []int64 {
				return c.Shape(in, int64(of(p.Batch)), int64(of(p.Seq)), int64(of(p.Past)))
			}
			p.Inputs = append(p.Inputs, profiles.Range{Input: in.Name, Min: shape(func(s profiles.Span) int { return s.Min }),
				Opt: shape(func(s profiles.Span) int { return s.Opt }), Max: shape(func(s profiles.Span) int { return s.Max })})
		}
	}
	return Profiles{CreatedBy: "trtforge test", Title: "gpt2", Source: "plan.json", Plan: plan, Gaps: profiles.Check(c, plan.Profiles, plan.Demand, profiles.Any)}
}

func TestProfilesGolden(t *testing.T) {
	var b bytes.Buffer
	if err := ProfilesHTML(&b, sampleProfiles(t)); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "profiles.html"), b.Bytes())
	for _, part := range []string{"uncovered", "past_key_values.*.key", "lie inside no profile"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the page lacks %q", part)
		}
	}
}

func TestManyBatchesShowThoseWithGaps(t *testing.T) {
	plan := &profiles.Plan{Profiles: []profiles.Profile{{Batch: profiles.Span{Min: 1, Opt: 1, Max: 19}, Seq: profiles.Span{Min: 8, Opt: 8, Max: 8}}}}
	for batch := 1; batch <= 20; batch++ {
		plan.Demand = append(plan.Demand, profiles.Shape{Phase: profiles.Prefill, Batch: batch, Seq: 8, Count: float64(100 - batch)})
	}
	var got []int
	for _, p := range panels(plan)[:mostPanels] {
		got = append(got, p.batch.from)
	}
	if fmt.Sprint(got) != "[1 2 3 4 5 20]" {
		t.Errorf("panels of batches %v, want the five most frequent and the one with a gap", got)
	}
}
