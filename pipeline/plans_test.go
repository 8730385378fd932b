package pipeline

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/validate"
)

func TestWhichGPUsRunAnEngine(t *testing.T) {
	gpu := func(compute string) *doctor.GPU { return &doctor.GPU{Compute: compute} }
	for _, c := range []struct {
		backend, target string
		g               *doctor.GPU
		why             string
	}{
		{"rtx", "", nil, noGPU}, {"orttrt", "", nil, "orttrt engines run on an NVIDIA GPU only"},
		{"rtx", "", gpu("8.9"), ""}, {"rtx", "", gpu("12.0"), ""}, {"rtx", "", gpu("9.0"), "this machine's GPU is sm90"},
		{"rtx", "sm80", gpu("8.0"), ""}, {"rtx", "sm80", gpu("8.9"), "it is for sm80, this machine's GPU is sm89"},
		{"trtexec", "", gpu("9.0"), ""},
	} {
		if got := unfit(c.backend, c.target, c.g); got != c.why && (c.why == "" || !strings.HasSuffix(got, c.why)) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestRoom: an engine is scored with as many windows at once as its profiles hold, and
// where they hold none, what lies outside is told.
func TestRoom(t *testing.T) {
	dir := t.TempDir()
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
	v := &Validation{IDs: make([]int, 200), Bundle: &validate.Bundle{Header: validate.Header{Convention: validate.Convention{Name: validate.HFNonOverlap, Length: 32}}}}
	r := &Runnable{Model: jobs.Model{Contract: c}}
	if n, why := v.Room(r); n != 4 || why != "" {
		t.Errorf("without profiles: %d, %s", n, why)
	}
	for scenario, want := range map[string]int{"a=1x31+1": 0, "a=1x9+2": 0, "a=1x31+1 b=1x1+31": 1, "a=2x31+1 b=2x1+31 c=1x31+1 d=1x1+31": 2} {
		var w profiles.Workload
		for _, text := range strings.Fields(scenario) {
			s, err := profiles.ParseScenario(text)
			if err != nil {
				t.Fatal(err)
			}
			w.Scenarios = append(w.Scenarios, s)
		}
		plan, err := profiles.Derive(c, w, profiles.Options{Strategy: "phase"})
		if err != nil {
			t.Fatal(err)
		}
		r.Manifest = &engine.Manifest{Profiles: plan.Profiles}
		if n, why := v.Room(r); n != want || (why == "") != (want > 0) {
			t.Errorf("%s: %d windows, %s", scenario, n, why)
		}
	}
}
