package contract

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/golden"
)

func TestFileForm(t *testing.T) {
	c, err := Infer(load(t, "gpt2"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "contract.json")
	if err := c.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "contract.golden.json"), got)
	back, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, back, cmpopts.IgnoreUnexported(Contract{})); d != "" {
		t.Error(d)
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	c, err := Read(strings.NewReader(`{"kind":"contract","schema_version":1,"future":{"a":[1]},"vocab":7}`), "f")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil || !bytes.Contains(b, []byte(`"future":{"a":[1]}`)) || bytes.Count(b, []byte(`"vocab"`)) != 1 {
		t.Errorf("%s, %v", b, err)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for _, s := range []string{"", "[]", `{"kind":"plan","schema_version":1}`, `{"kind":"contract","schema_version":2}`, `{"kind":"contract"}`} {
		if _, err := Read(strings.NewReader(s), "f"); fault.Exit(err) != 4 {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "absent")); fault.Exit(err) != 4 {
		t.Errorf("an absent file: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"kind":"contract","schema_version":1,"inputs":[{"name":"input_ids","kind":"ids","dims":[{"role":"batch"},{"role":"seq","size":-1}]}]}`)
	f.Add(`{"kind":"contract","schema_version":1,"future":null}`)
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Read(strings.NewReader(s), "f")
		if err != nil {
			if fault.Exit(err) != 4 {
				t.Errorf("class of %v", err)
			}
			return
		}
		for _, in := range c.Inputs {
			if got := c.Shape(in, 1, 2, 3); len(got) != len(in.Dims) {
				t.Errorf("shape %v of %+v", got, in)
			}
		}
		if _, err := json.Marshal(c); err != nil {
			t.Errorf("%q was read and cannot be written: %v", s, err)
		}
	})
}
