package main

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

func readAll(t *testing.T) (*study, *published) {
	t.Helper()
	s, err := readStudy("study.toml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPublished()
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// The family has the parameters that the study states, each to its last digit, and
// its scenarios are the study's.
func TestFamilyIsTheStudys(t *testing.T) {
	s, p := readAll(t)
	if len(s.Models) != len(p.Crossover.Points) {
		t.Fatalf("%d models, the study has %d", len(s.Models), len(p.Crossover.Points))
	}
	for i, m := range s.Models {
		want := p.Crossover.Points[i].Millions
		digits := 100.0
		if want < 1 {
			digits = 1000
		}
		if got := math.Round(float64(s.parameters(m))/1e6*digits) / digits; got != want || m.Millions != want {
			t.Errorf("%s has %d parameters and says %g million, the study has %g", m.Name, s.parameters(m), m.Millions, want)
		}
	}
	if len(s.Workload.Scenarios) != len(p.Scenarios) {
		t.Fatalf("%d scenarios, the study has %d", len(s.Workload.Scenarios), len(p.Scenarios))
	}
	for i, c := range s.Workload.Scenarios {
		if c != p.Scenarios[i] {
			t.Errorf("scenario %+v, the study has %+v", c, p.Scenarios[i])
		}
	}
	if n := len(s.Models) * len(s.Workload.Scenarios) * len(s.Measure.Modes) * len(s.Measure.Engines) * s.Measure.Repetitions; n < p.Runs.Total || s.Measure.Repetitions < 6 {
		t.Errorf("%d runs with %d repetitions", n, s.Measure.Repetitions)
	}
}

// The formula counts what export writes.
func TestParametersAreCounted(t *testing.T) {
	s, _ := readAll(t)
	dir := t.TempDir()
	if err := export.Random(dir, s.shape(s.Models[0]), 1); err != nil {
		t.Fatal(err)
	}
	g, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	var n int64
	if err := g.Weights(func(w *onnx.Weight) error {
		if w.Type.IsFloat() && strings.HasPrefix(w.Name, "transformer.") {
			k, err := onnx.Elements(w.Dims)
			n += k
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := s.parameters(s.Models[0]); n != want {
		t.Errorf("the graph has %d parameters, the formula says %d", n, want)
	}
}

func TestFlagsAndFile(t *testing.T) {
	s, err := parse([]string{"-study", "study.toml", "-quick", "-modes", "cached", "-engines", "torch,ortcpu-fp32", "-repetitions", "3", "-o", "x"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Models) != len(s.Quick.Models) || len(s.Workload.Scenarios) != len(s.Quick.Scenarios) || len(s.Measure.Modes) != 1 ||
		len(s.Measure.Engines) != 2 || s.Measure.Repetitions != 3 || s.Measure.Rounds != s.Quick.Rounds || s.Output.Dir != "x" {
		t.Errorf("%+v", s)
	}
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("[measure]\nrepetition = 3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no such model": {"-models", "7B"}, "no such engine": {"-engines", "onnx"}, "no such mode": {"-modes", "fast"}, "no such flag": {"-fast"},
		"unknown key": {"-study", bad}, "no file": {"-study", bad + "x"}, "no repetition": {"-study", bad, "-repetitions", "-1"},
	} {
		if args[0] != "-study" {
			args = append([]string{"-study", "study.toml"}, args...)
		}
		if _, err := parse(args, io.Discard); fault.Classify(err) != fault.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The study's profiles hold all of its shapes; what its contexts could reach did not.
// Its messages are explained by that, and ours reach everything.
func TestProofs(t *testing.T) {
	s, p := readAll(t)
	theirs := p.proveTheirs()
	if theirs[0].Outside != 0 || theirs[0].Shapes != 43 || theirs[1].Outside != 18 {
		t.Errorf("the study's profiles: %+v", theirs)
	}
	why, err := p.explain()
	if err != nil || len(why) != 3 {
		t.Fatalf("%v, %v", why, err)
	}
	if !strings.Contains(why[0].Cause, "the profile that it had selected does not hold the shape") {
		t.Errorf("explained by %s", why[0].Cause)
	}
	dir := t.TempDir()
	if err := export.Random(dir, s.shape(s.Models[0]), 1); err != nil {
		t.Fatal(err)
	}
	g, err := export.GPT2(dir, export.Options{Logits: export.Last})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	m := &member{model: s.Models[0]}
	if m.Contract, err = contract.Infer(g); err != nil {
		t.Fatal(err)
	}
	ours, plans, err := proveOurs(m, s.Workload.Scenarios)
	if err != nil || len(ours) != 4 || len(plans) != 4 {
		t.Fatalf("%+v, %v", ours, err)
	}
	for _, c := range ours {
		if c.Outside != 0 || c.Shapes < 40 || c.Profiles < 1 {
			t.Errorf("%+v", c)
		}
	}
	smoke, full, differ := p.staleness()
	if smoke == full || len(differ) == 0 {
		t.Errorf("an engine of one profile has the key of one of five: %s", smoke)
	}
}
