package syntax

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/profiles"
)

// two is the profiles of a decoder of one layer, prefill and decode.
func two() []profiles.Profile {
	return []profiles.Profile{
		{Name: "prefill", Inputs: []profiles.Range{
			{Input: "input_ids", Min: []int64{1, 8}, Opt: []int64{1, 16}, Max: []int64{4, 32}},
			{Input: "past_key_values.0.key", Min: []int64{1, 4, 0, 64}, Opt: []int64{1, 4, 0, 64}, Max: []int64{4, 4, 0, 64}}}},
		{Name: "decode", Inputs: []profiles.Range{
			{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{4, 1}},
			{Input: "past_key_values.0.key", Min: []int64{1, 4, 8, 64}, Opt: []int64{1, 4, 19, 64}, Max: []int64{4, 4, 63, 64}}}},
	}
}

// decoder is the contract of two.
func decoder() *contract.Contract {
	ids := contract.Tensor{Name: "input_ids", Type: "int64", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Seq}}}
	cache := func(name string, length contract.Role) contract.Tensor {
		return contract.Tensor{Name: name, Type: "float16", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Static, Size: 4}, {Role: length}, {Role: contract.Static, Size: 64}}}
	}
	logits := contract.Tensor{Name: "logits", Type: "float", Dims: []contract.Dim{{Role: contract.Batch}, {Role: contract.Seq}, {Role: contract.Static, Size: 128}}}
	return &contract.Contract{
		Inputs:  []contract.Tensor{ids, cache("past_key_values.0.key", contract.Past)},
		Outputs: []contract.Tensor{logits, cache("present.0.key", contract.Total)},
	}
}

// meaning compares profiles by what every syntax carries.
var meaning = []cmp.Option{
	cmpopts.IgnoreFields(profiles.Profile{}, "Name", "Batch", "Seq", "Past"),
	cmpopts.IgnoreFields(profiles.Range{}, "Values"),
	cmpopts.EquateEmpty(),
}

// Every syntax is as the golden files show it, is recognised, and reads back.
func TestEmitAndParse(t *testing.T) {
	names, _ := Names()
	for _, name := range names {
		for _, v := range []struct {
			many string
			all  []profiles.Profile
		}{{"two", two()}, {"one", two()[:1]}} {
			in := Input{Profiles: v.all, Contract: decoder()}
			text, err := Emit(name, in)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			golden.Check(t, filepath.Join("testdata", name+"-"+v.many+".txt"), text)
			if found, err := Detect(text); err != nil || found != name {
				t.Errorf("%s of %s is taken for %q: %v", name, v.many, found, err)
			}
			got, err := ParseAs(name, text)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if d := cmp.Diff(v.all, got, meaning...); d != "" {
				t.Errorf("%s of %s (-written +read):\n%s", name, v.many, d)
			}
		}
	}
}

// Names and shapes at the edge of each grammar: written and read back, or refused.
func TestNamesAtTheEdge(t *testing.T) {
	carries := map[string]string{ // which families take the name
		"a:0":     "trtexec polygraphy lock",
		"a,b":     "polygraphy lock",
		"it's":    "ort rtx polygraphy lock triton",
		`q"q`:     "ort rtx trtexec polygraphy lock triton",
		"a b":     "ort rtx trtexec polygraphy lock triton",
		"$x`y\\z": "ort rtx trtexec polygraphy lock triton",
		"größe":   "ort rtx trtexec polygraphy lock triton",
		"a=b#c;d": "ort rtx trtexec polygraphy lock triton",
		"x[0](1)": "ort rtx trtexec polygraphy lock triton",
		"-a":      "ort rtx trtexec lock triton",
		"?":       "ort rtx trtexec polygraphy lock triton",
		"a\nb":    "",
		" a":      "",
		"":        "",
		"\xff":    "",
	}
	names, _ := Names()
	for name, families := range carries {
		c := decoder()
		c.Inputs[0].Name = name
		all := two()
		for i := range all {
			all[i].Inputs[0].Input = name
		}
		for _, s := range names {
			family, _, _ := strings.Cut(s, "-")
			text, err := Emit(s, Input{Profiles: all, Contract: c})
			if !strings.Contains(" "+families+" ", " "+family+" ") {
				if fault.Exit(err) != 4 {
					t.Errorf("%s writes %q: %v", s, name, text)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s, name %q: %v", s, name, err)
				continue
			}
			got, err := ParseAs(s, text)
			if err != nil {
				t.Errorf("%s, name %q: %v\n%s", s, name, err, text)
			}
			byName := cmpopts.SortSlices(func(a, b profiles.Range) bool { return a.Input < b.Input }) // a lock sorts
			if d := cmp.Diff(all, got, append(meaning, byName)...); d != "" {
				t.Errorf("%s, name %q: %s\n%s", s, name, d, text)
			}
		}
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	r := func(input string, shape ...int64) profiles.Range {
		return profiles.Range{Input: input, Min: shape, Opt: shape, Max: shape}
	}
	for _, v := range []struct {
		name string
		all  []profiles.Profile
		want []string
	}{
		{"nothing", nil, []string{"there is none"}},
		{"no input", []profiles.Profile{{}}, []string{"profile 0", "no input"}},
		{"inputs that differ", []profiles.Profile{{Inputs: []profiles.Range{r("a", 1)}}, {Inputs: []profiles.Range{r("b", 1)}}},
			[]string{`profile 1, input "b": profile 0 does not have it`, `profile 1, input "a": profile 0 has it`}},
		{"ranks", []profiles.Profile{{Inputs: []profiles.Range{{Input: "a", Min: []int64{1}, Opt: []int64{1, 2}, Max: []int64{1}}}}}, []string{"1 sizes at minimum, 2 at optimum"}},
		{"33 bits", []profiles.Profile{{Inputs: []profiles.Range{r("a", 1<<31)}}}, []string{"2147483648", "32 bits"}},
		{"a size nobody knows", []profiles.Profile{{Inputs: []profiles.Range{r("a", 1, profiles.Unknown)}}}, []string{"not known", `input "a"`}},
		{"twice", []profiles.Profile{{Inputs: []profiles.Range{r("a", 1), r("a", 1)}}}, []string{"named twice"}},
	} {
		_, err := Emit(ORT, Input{Profiles: v.all})
		if fault.Exit(err) != 4 {
			t.Errorf("%s: exit %d, %v", v.name, fault.Exit(err), err)
			continue
		}
		for _, want := range v.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\ndoes not say %s", v.name, err, want)
			}
		}
	}
	if _, err := Emit("yaml", Input{}); fault.Exit(err) != 2 {
		t.Errorf("an unknown syntax: %v", err)
	}
	if _, err := Emit(Triton, Input{Profiles: two()}); fault.Exit(err) != 2 {
		t.Errorf("Triton without a contract: %v", err)
	}
}

// A scalar has no form in a provider's options and needs none; elsewhere it has one.
func TestScalars(t *testing.T) {
	all := two()[:1]
	all[0].Inputs = append(all[0].Inputs, profiles.Range{Input: "temperature"})
	for _, s := range []string{Trtexec, Polygraphy, Lock, ORT} {
		text, err := Emit(s, Input{Profiles: all})
		if err != nil {
			t.Fatal(err)
		}
		want := all
		if s == ORT {
			want = two()[:1]
		}
		got, err := ParseAs(s, text)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, meaning...); d != "" {
			t.Errorf("%s: %s", s, d)
		}
	}
}

func TestTritonBatches(t *testing.T) {
	c := decoder()
	text, err := Emit(Triton, Input{Profiles: two(), Contract: c, MaxBatch: 4})
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", "triton-batch.txt"), text)
	c.Inputs[1].Dims[0] = contract.Dim{Role: contract.Static, Size: 1}
	if _, err := Emit(Triton, Input{Profiles: two(), Contract: c, MaxBatch: 4}); fault.Exit(err) != 4 || !strings.Contains(err.Error(), "past_key_values.0.key") {
		t.Errorf("a batch that is fixed: %v", err)
	}
	c.Outputs[0].Type = "float8e4m3fn"
	if _, err := Emit(Triton, Input{Profiles: two(), Contract: c}); fault.Exit(err) != 4 || !strings.Contains(err.Error(), "float8e4m3fn") {
		t.Errorf("a type of no Triton: %v", err)
	}
}

// A lock of the same profiles is the same bytes, whatever order and text they come in.
func TestLockIsCanonical(t *testing.T) {
	want, err := Emit(Lock, Input{Profiles: two()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := Emit(Trtexec, Input{Profiles: two()})
	if err != nil {
		t.Fatal(err)
	}
	all, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		in := all[i].Inputs
		in[0], in[1] = in[1], in[0]
	}
	got, err := Emit(Lock, Input{Profiles: all})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{" # prefill", " # decode"} {
		want = strings.ReplaceAll(want, name, "")
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	known := two()
	known[0].Inputs[1].Min[1] = profiles.Unknown
	known[0].Inputs[0].Values = true
	text, err = Emit(Lock, Input{Profiles: known})
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(known, back); d != "" {
		t.Errorf("values and unknown sizes: %s\n%s", d, text)
	}
}

// Ten thousand inputs are text like any other.
func TestTenThousandInputs(t *testing.T) {
	var p profiles.Profile
	for i := range 10000 {
		shape := []int64{1, int64(i)}
		p.Inputs = append(p.Inputs, profiles.Range{Input: fmt.Sprintf("state.%d", i), Min: shape, Opt: shape, Max: shape})
	}
	c := &contract.Contract{}
	for _, s := range []string{Lock, ORTEnv, RTXJSON, Trtexec, Polygraphy, TritonTRT} {
		text, err := Emit(s, Input{Profiles: []profiles.Profile{p}, Contract: c})
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		got, err := ParseAs(s, text)
		if err != nil || len(got) != 1 || len(got[0].Inputs) != 10000 {
			t.Errorf("%s: %d profiles, %v", s, len(got), err)
		}
	}
	if _, err := ParseAs(ORT, strings.Repeat("x", maxText+1)); fault.Exit(err) != 4 {
		t.Errorf("9 MB of text: %v", err)
	}
}

// The example of docs/formats.md is the lock of the example of a plan.
func TestLockFormat(t *testing.T) {
	formats := filepath.Join(testenv.Root(t), "docs", "formats")
	plan, err := profiles.Load(filepath.Join(formats, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Emit(Lock, Input{Profiles: plan.Profiles})
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Rel(filepath.Join(testenv.Root(t), "profiles", "syntax", "testdata"), filepath.Join(formats, "profiles.lock"))
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, filepath.Join("testdata", path), text)
	back, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if !profiles.Compare(plan.Profiles, back, profiles.Partial{}).Same() {
		t.Error("the lock differs from its plan")
	}
}
