package explain

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
)

// Any log is read without an error, unless it is no text, in bounded findings, and what is said of it
// can be printed in both forms.
func FuzzRead(f *testing.F) {
	for _, p := range builtin(f) {
		for _, e := range p.Examples {
			f.Add([]byte(e.Text))
		}
	}
	paths, _ := filepath.Glob("testdata/mixed/*.log")
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte("{\"log\":\"\\u001b[1;31mERROR: x\\n\"}\r\n\x1b]0;t\x07[E] \xff\xfe"))
	c := Context{Contract: cached(), Profiles: nil}
	f.Fuzz(func(t *testing.T, log []byte) {
		r, err := Read(strings.NewReader(string(log)), c)
		if fault.Exit(err) == 4 { // no text
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Text(io.Discard); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(string(b), "\x1b\x00") {
			t.Errorf("control bytes in %q", b)
		}
		for _, f := range r.Findings {
			if f.Cause == "" || f.Fix == "" || f.Evidence.Line < 1 || f.Evidence.Line > r.Lines {
				t.Errorf("%+v", f)
			}
			for k, v := range f.Fields {
				if len(v) > maxField+8 {
					t.Errorf("%s has %d bytes", k, len(v))
				}
			}
		}
	})
}

// A pattern file is refused or works: a pattern that was accepted reads any of its
// examples without harm.
func FuzzParse(f *testing.F) {
	f.Add([]byte(valid))
	for _, name := range []string{"shape-outside-profile", "ort-missing-profiles", "profile-contradicts"} {
		b, err := os.ReadFile("patterns/" + name + ".toml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("p", text)
		if err != nil {
			return
		}
		for _, e := range append(p.Examples, Example{Text: string(text)}) {
			if _, err := NewScanner([]*Pattern{p}).Read(strings.NewReader(e.Text), Context{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
