package profiles

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
)

func plan(t testing.TB) *Plan {
	t.Helper()
	w := Workload{Scenarios: []Scenario{{Name: "one", Batch: 2, PromptTokens: 8, NewTokens: 3, Weight: 0.1}}}
	p, err := Derive(cached(), w, Options{Strategy: "phase", CreatedBy: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlanRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.json")
	p := plan(t)
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(p, got, cmpopts.IgnoreUnexported(Plan{})); d != "" {
		t.Error(d)
	}
}

func TestPlanKeepsWhatItDoesNotKnow(t *testing.T) {
	b, err := json.Marshal(plan(t))
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.Replace(b, []byte(`{"kind"`), []byte(`{"cost":{"tokens":1.50},"kind"`), 1)
	p, err := Read(bytes.NewReader(b), "p")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(p); err != nil || !bytes.Contains(again, []byte(`"cost":{"tokens":1.50}`)) {
		t.Errorf("%v: %s", err, again)
	}
}

func TestPlansThatCannotBe(t *testing.T) {
	for _, v := range []struct {
		name string
		edit func(p *Plan)
		want []string
	}{
		{"a newer version", func(p *Plan) { p.SchemaVersion++ }, []string{"version is 3", "up to 2"}},
		{"no version", func(p *Plan) { p.SchemaVersion = 0 }, []string{"version is 0"}},
		{"another kind", func(p *Plan) { p.Kind = "table" }, []string{`"table"`}},
		{"coverage beyond the profiles", func(p *Plan) { p.Coverage[0] = 2 }, []string{"seq 8, past 0", "profile 2 of 2"}},
		{"coverage by none", func(p *Plan) { p.Coverage[1] = -1 }, []string{"seq 1, past 8 to 9", "profile -1 of 2"}},
		{"half a proof", func(p *Plan) { p.Coverage = p.Coverage[:1] }, []string{"covers 1 shapes of 2"}},
		{"no proof", func(p *Plan) { p.Coverage = nil }, []string{"covers 0 shapes of 2"}},
		{"a range without an end", func(p *Plan) { p.Profiles[1].Inputs[1].Max = nil }, []string{"profile 1", "attention_mask"}},
	} {
		p := plan(t)
		v.edit(p)
		path := filepath.Join(t.TempDir(), "plan.json")
		if err := p.Save(path); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if fault.Exit(err) != 4 {
			t.Errorf("%s: exit %d: %v", v.name, fault.Exit(err), err)
			continue
		}
		for _, want := range append(v.want, path) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\ndoes not say %s", v.name, err, want)
			}
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); fault.Exit(err) != 4 {
		t.Errorf("no file: %v", err)
	}
}

func TestGapSaysEveryCorrection(t *testing.T) {
	p := plan(t)
	gaps := Check(cached(), p.Profiles, []Shape{{Phase: Decode, Batch: 2, Seq: 1, Past: 12, Count: 1}}, Any)
	if len(gaps) != 1 {
		t.Fatalf("%v", gaps)
	}
	want := "attention_mask dimension 1 is 13, profile 1 holds 9 to 10: set its max to 13; " +
		"past.0.key (and 1 more) dimension 2 is 12, profile 1 holds 8 to 9: set its max to 12"
	if got := gaps[0].String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// What it says is what has to be done, and enough.
	for _, o := range gaps[0].Outside {
		for _, r := range p.Profiles[gaps[0].Profile].Inputs {
			if slices.Contains(o.Inputs, r.Input) {
				r.Max[o.Dim] = o.Size
			}
		}
	}
	if left := Check(cached(), p.Profiles, []Shape{gaps[0].Shape}, Any); len(left) > 0 {
		t.Errorf("corrected, %v is left", left[0])
	}
	p.Profiles[1].Inputs = p.Profiles[1].Inputs[1:]
	gaps = Check(cached(), p.Profiles[1:], []Shape{{Phase: Decode, Batch: 2, Seq: 1, Past: 8, Count: 1}}, Any)
	if len(gaps) != 1 || !strings.Contains(gaps[0].String(), "input_ids has no range in profile 0") {
		t.Errorf("an input that the profile lacks: %v", gaps)
	}
	if gaps := Check(cached(), nil, []Shape{{Phase: Decode, Batch: 2, Seq: 1, Past: 8, Count: 1}}, Any); len(gaps) != 1 || gaps[0].String() != "there is no profile" {
		t.Errorf("no profiles: %v", gaps)
	}
}

func FuzzRead(f *testing.F) {
	b, err := json.Marshal(plan(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"kind":"plan","schema_version":3}`))
	f.Add([]byte(`{"kind":"plan","schema_version":1,"demand":[{}],"coverage":[0],"profiles":[{"inputs":[{"min":[1],"opt":[1]}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Read(bytes.NewReader(b), "f")
		if err != nil {
			if p != nil || fault.Exit(err) != 4 {
				t.Errorf("plan %v, exit %d: %v", p, fault.Exit(err), err)
			}
			return
		}
		Check(cached(), p.Profiles, p.Demand, p.Reach)
		saved, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Read(bytes.NewReader(saved), "again"); err != nil {
			t.Errorf("%s does not read again: %v", saved, err)
		}
	})
}

// A shape tensor that holds the past has the past's range as its values, jointly
// with everything else.
func TestShapeTensorValues(t *testing.T) {
	c := cached()
	c.Inputs = append(c.Inputs, contract.Tensor{Name: "past_length", Type: "int64", Dims: []contract.Dim{{Role: contract.Static, Size: 1}},
		Values: []contract.Dim{{Role: contract.Past}}})
	w := Workload{Scenarios: []Scenario{{Name: "a", Batch: 1, PromptTokens: 8, NewTokens: 5}}}
	p, err := Derive(c, w, Options{Strategy: "phase"})
	if err != nil {
		t.Fatal(err)
	}
	decode := p.Profiles[1]
	got := decode.Inputs[len(decode.Inputs)-1]
	if want := (Range{Input: "past_length", Min: []int64{8}, Opt: []int64{int64(decode.Past.Opt)}, Max: []int64{11}, Values: true}); !cmp.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	got.Max[0] = 10
	gaps := Check(c, p.Profiles, p.Demand, Any)
	if len(gaps) != 1 || gaps[0].Outside[0].Inputs[0] != "past_length" || !strings.Contains(gaps[0].String(), "past_length value 0 is 11") {
		t.Errorf("%v", gaps)
	}
	if err := Validate(c, p.Profiles); err == nil || !strings.Contains(err.Error(), "past_length") {
		t.Errorf("values that disagree with the cache: %v", err)
	}
}

// A decode that outgrew its profile is nearer to it than to the prefill's,
// though by the sum of all distances it is not.
func TestNearestIsOfThePhase(t *testing.T) {
	c := cached()
	d := &deriver{c: c}
	prefill := d.with(Profile{Batch: Span{1, 1, 1}, Seq: Span{8, 19, 256}})
	decode := d.with(Profile{Batch: Span{1, 1, 1}, Seq: Span{1, 1, 1}, Past: Span{8, 22, 33}})
	gaps := Check(c, []Profile{prefill, decode}, []Shape{{Phase: Decode, Batch: 1, Seq: 1, Past: 34, Run: 52, Count: 1}}, Any)
	if len(gaps) != 1 || gaps[0].Profile != 1 {
		t.Errorf("gaps %v, want one, nearest to profile 1", gaps)
	}
}
