package keep

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

type file struct {
	Kind string `json:"kind"`
	Note string `json:"note,omitempty"`

	extra Fields
}

type plain file

func (f *file) UnmarshalJSON(b []byte) (err error) {
	f.extra, err = Unmarshal(b, (*plain)(f))
	return err
}

func (f file) MarshalJSON() ([]byte, error) { return Marshal(plain(f), f.extra) }

func TestUnknownFieldsSurvive(t *testing.T) {
	for in, want := range map[string]string{
		`{"kind":"a"}`:                           `{"kind":"a"}`,
		`{"z":1,"kind":"a","b":{"c":[1.50]}}`:    `{"kind":"a","b":{"c":[1.50]},"z":1}`,
		`{"kind":"a","note":"n","x":null}`:       `{"kind":"a","note":"n","x":null}`,
		`{"big":12345678901234567890,"kind":""}`: `{"kind":"","big":12345678901234567890}`,
		`{"Kind":"a"}`:                           `{"kind":"a"}`, // encoding/json takes it for kind
		`null`:                                   `{"kind":""}`,
	} {
		var f file
		if err := json.Unmarshal([]byte(in), &f); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got, err := json.Marshal(f); err != nil || string(got) != want {
			t.Errorf("%s became %s (%v), want %s", in, got, err, want)
		}
	}
}

// Each finds the fields that encoding/json finds, with their bytes.
func TestEach(t *testing.T) {
	for _, in := range []string{
		`{}`, `null`, `[{"a":1}]`, `"a:{"`, ` { "a" : 1 , "b":[1,{"c":2}], "a":"again" } `,
		`{"\\":"\\\"","q\"{":"}","u\u0041":{"x":"]\\"},"e":"","":[],"t":true}`,
	} {
		want, got := Fields{}, Fields{}
		_ = json.Unmarshal([]byte(in), &want)
		Each([]byte(in), func(name string, value []byte) { got[name] = value })
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: encoding/json's less ours: %s", in, d)
		}
	}
}

func TestNothingButKeptFields(t *testing.T) {
	got, err := Marshal(struct {
		A string `json:"a,omitempty"`
	}{}, Fields{"b": json.RawMessage("1")})
	if err != nil || string(got) != `{"b":1}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestWhatIsNoObject(t *testing.T) {
	for _, in := range []string{`[]`, `1`, `{"kind":1}`, `{`} {
		var f file
		if err := json.Unmarshal([]byte(in), &f); err == nil {
			t.Errorf("%s was read", in)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(`{"kind":"a","b":1}`)
	f.Add(`{"KIND":"a","\u006bind":"b"}`)
	f.Fuzz(func(t *testing.T, in string) {
		var one, two file
		if json.Unmarshal([]byte(in), &one) != nil {
			return
		}
		all, each := Fields{}, Fields{}
		_ = json.Unmarshal([]byte(in), &all)
		Each([]byte(in), func(name string, value []byte) { each[name] = value })
		if d := cmp.Diff(all, each, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: encoding/json's fields less ours: %s", in, d)
		}
		b, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &two); err != nil {
			t.Fatalf("%s does not read again: %v", b, err)
		}
		if again, err := json.Marshal(two); err != nil || string(again) != string(b) {
			t.Errorf("%s became %s (%v)", b, again, err)
		}
	})
}
