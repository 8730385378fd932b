package lint

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/internal/junit"
	"github.com/trtforge/trtforge/profiles"
)

// spoilt has an error, a warning, a note and uncovered shapes.
func spoilt(t *testing.T) Subject {
	s := sound(t)
	span(&s, 1, profiles.Span{Min: 1, Opt: 2, Max: 2}, one(1), profiles.Span{Min: 8, Opt: 23, Max: 28})
	set(s.Profiles[0], "attention_mask", 1, 8, 8, 40)
	s.Profiles = append(s.Profiles, s.Profiles[0])
	s.Graph.Int64 = []Int64{{"end", 1 << 62, true}}
	return s
}

func TestReport(t *testing.T) {
	r := Examine(spoilt(t), "plan.json")
	var text, notes, xmlText strings.Builder
	if err := r.Write(&text, false); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "report.txt"), text.String())
	if err := r.Annotate(&notes, "plan.json"); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "annotations.txt"), notes.String())
	if err := junit.Write(&xmlText, r.JUnit(false)); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(xmlText.String()), new(struct{})); err != nil {
		t.Fatal(err)
	}
	for _, strict := range []bool{false, true} {
		failed := map[string]bool{}
		for _, c := range r.JUnit(strict).Cases {
			if c.Failure != "" {
				failed[strings.Fields(c.Name)[0]] = true
			}
		}
		want := map[string]bool{"TF301": true, "TF401": true}
		if strict {
			want["TF411"], want["TF416"] = true, true
		}
		if d := cmp.Diff(want, failed); d != "" {
			t.Errorf("strict %t:\n%s", strict, d)
		}
	}
}

// What was not given is not judged, and the report says so.
func TestNotJudged(t *testing.T) {
	s := sound(t)
	r := Examine(Subject{Profiles: s.Profiles, Backend: ORTTRT}, "options.txt")
	if len(r.Findings) != 1 || r.Findings[0].ID != "TF501" || r.Failed(false) || !r.Failed(true) {
		t.Errorf("of profiles alone: %+v", r.Findings)
	}
	for _, id := range []string{"TF101", "TF301", "TF401", "TF508"} {
		if !strings.Contains(strings.Join(r.Silent, " "), id) {
			t.Errorf("%s counts as judged", id)
		}
	}
	if strings.Contains(strings.Join(r.Silent, " "), "TF602") {
		t.Error("a rule of other backends counts as not judged")
	}
}

// The published profiles of the study hold its 43 shapes where every profile can
// be reached, and lack 18 where only the first can: two of batch 1, sixteen of
// batch 4. (profiles holds the figures; this holds what the report says of them.)
func TestStudy(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "testdata", "study.json"))
	if err != nil {
		t.Fatal(err)
	}
	var study struct {
		Scenarios []profiles.Scenario
		Profiles  []struct{ Batch, Seq [3]int64 }
	}
	if err := json.Unmarshal(b, &study); err != nil {
		t.Fatal(err)
	}
	c := &contract.Contract{}
	for _, name := range []string{"input_ids", "attention_mask"} {
		c.Inputs = append(c.Inputs, contract.Tensor{Name: name, Type: "int64", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Seq}}})
	}
	s := Subject{Contract: c, Workload: &profiles.Workload{Mode: profiles.Uncached, Scenarios: study.Scenarios}}
	s.Demand = profiles.Demand(*s.Workload)
	for _, p := range study.Profiles {
		at := func(i int) []int64 { return []int64{p.Batch[i], p.Seq[i]} }
		x := profiles.Profile{}
		for _, in := range c.Inputs {
			x.Inputs = append(x.Inputs, profiles.Range{Input: in.Name, Min: at(0), Opt: at(1), Max: at(2)})
		}
		s.Profiles = append(s.Profiles, x)
	}
	for _, v := range []struct {
		backend Backend
		lacks   int
	}{{TensorRT, 0}, {ORTTRT, 18}} {
		s.Backend = v.backend
		r := Examine(s, "study.json")
		if r.Shapes != 43 || r.Lacking != v.lacks || (r.Errors > 0) != (v.lacks > 0) {
			t.Errorf("%s: %d of %d shapes uncovered, want %d of 43; %s", v.backend, r.Lacking, r.Shapes, v.lacks, r.Summary())
		}
		var text strings.Builder
		if err := r.Write(&text, false); err != nil {
			t.Fatal(err)
		}
		t.Log(text.String())
	}
}
