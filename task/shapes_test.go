package task

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/validate"
)

// An engine with profiles is scored in shapes that they hold, or not at all.
func TestShapesAreThoseOfTheProfiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := export.Random(dir, export.Shape{Layers: 1, Width: 16, Heads: 2, Vocab: 64, Positions: 64}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	convention := validate.Convention{Name: validate.HFNonOverlap, Length: 16}
	v := &Validation{IDs: make([]int, 70), Bundle: &validate.Bundle{Header: validate.Header{Convention: convention, Vocab: 64, Tokens: 70}}}
	built := func(strategy string, work ...profiles.Scenario) *Runnable {
		t.Helper()
		p, err := profiles.Derive(c, profiles.Workload{Scenarios: work}, profiles.Options{Strategy: strategy})
		if err != nil {
			t.Fatal(err)
		}
		return &Runnable{Name: "e", Backend: "rtx", Model: jobs.Model{Contract: c}, Manifest: &engine.Manifest{Backend: "rtx", Profiles: p.Profiles}}
	}
	long := profiles.Scenario{Name: "long", Batch: 2, PromptTokens: 15, NewTokens: 40}
	short := profiles.Scenario{Name: "short", Batch: 1, PromptTokens: 4, NewTokens: 20}
	for name, one := range map[string]struct {
		of     *Runnable
		want   scored
		asks   int  // rows of invariance
		padded bool // and padding
	}{
		"two rows":      {built("phase", long, short), scored{2, 4}, 2, true},
		"one row":       {built("phase", profiles.Scenario{Name: "long", Batch: 1, PromptTokens: 15, NewTokens: 40}, short), scored{1, 4}, 0, false},
		"any":           {&Runnable{Backend: "ortcpu", Model: jobs.Model{Contract: c}}, scored{}, 4, true},
		"short prompts": {built("phase", short), scored{}, 0, false},
	} {
		got, err := v.shapes(one.of)
		if got != one.want {
			t.Errorf("%s: %+v, want %+v (%v)", name, got, one.want, err)
		}
		if name == "short prompts" {
			if why := NoRoom(""); fault.Exit(err) != 2 || !errors.As(err, &why) || !strings.Contains(err.Error(), "the windows of the reference, 16 tokens long") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		i, err := v.invariance(one.of)
		if err != nil || (i == nil) != (one.asks == 0) || i != nil && (i.Rows != one.asks || i.Alike == one.padded) {
			t.Errorf("%s: invariance is asked as %+v, %v", name, i, err)
		}
	}
}
