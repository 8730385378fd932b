package lint

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s:\n%s", name, d)
	}
}

func TestReport(t *testing.T) {
	r := Examine(spoilt(t), "plan.json")
	var text, notes, xmlText strings.Builder
	if err := r.Write(&text, false); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", text.String())
	if err := r.Annotate(&notes, "plan.json"); err != nil {
		t.Fatal(err)
	}
	golden(t, "annotations.txt", notes.String())
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
