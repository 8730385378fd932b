package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The parts lie side by side, cover the text, and are what split writes.
func TestSplit(t *testing.T) {
	goroot, err := findGoroot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(goroot, "src", "testdata")
	out := t.TempDir()
	if err := split(dir, out); err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(record, &r); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, r.File))
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, name := range []string{"train", "calibrate", "evaluate"} {
		p := r.Parts[name]
		if p.Begin != at {
			t.Errorf("part %s begins at %d, want %d", name, p.Begin, at)
		}
		at = p.End
		got, err := os.ReadFile(filepath.Join(out, name+".txt"))
		if name == "train" {
			if err == nil {
				t.Error("the training part was written")
			}
			continue
		}
		if err != nil || string(got) != string(text[p.Begin:p.End]) {
			t.Errorf("%s.txt is not bytes %d to %d of the text (%v)", name, p.Begin, p.End, err)
		}
	}
	if at != len(text) {
		t.Errorf("the parts end at %d of %d", at, len(text))
	}
}

func TestSplitRefusesAnotherText(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Isaac.Newton-Opticks.txt"), []byte("another edition"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := split(dir, out)
	if err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("split of another text: %v", err)
	}
}
