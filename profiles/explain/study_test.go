package explain

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

func dims(roles ...contract.Role) (all []contract.Dim) {
	for _, r := range roles {
		d := contract.Dim{Role: r}
		if r == contract.Static {
			d.Size = 16
		}
		all = append(all, d)
	}
	return all
}

// uncached is a decoder without past, cached one of a layer that takes it.
func uncached() *contract.Contract {
	return &contract.Contract{Inputs: []contract.Tensor{
		{Name: "input_ids", Kind: contract.KindIDs, Dims: dims(contract.Batch, contract.Seq)},
		{Name: "attention_mask", Kind: contract.KindMask, Dims: dims(contract.Batch, contract.Seq)},
	}}
}

func cached() *contract.Contract {
	return &contract.Contract{Layers: 1, Inputs: []contract.Tensor{
		{Name: "input_ids", Kind: contract.KindIDs, Dims: dims(contract.Batch, contract.Seq)},
		{Name: "attention_mask", Kind: contract.KindMask, Dims: dims(contract.Batch, contract.Total)},
		{Name: "past.0.key", Kind: contract.KindPastKey, Dims: dims(contract.Batch, contract.Static, contract.Past, contract.Static)},
		{Name: "past.0.value", Kind: contract.KindPastValue, Dims: dims(contract.Batch, contract.Static, contract.Past, contract.Static)},
	}}
}

// published is the five profiles of the study.
func published(t *testing.T) []profiles.Profile {
	t.Helper()
	b, err := os.ReadFile("../testdata/study.json")
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Profiles []struct{ Batch, Seq [3]int64 }
	}
	if err := json.Unmarshal(b, &s); err != nil || len(s.Profiles) != 5 {
		t.Fatal(len(s.Profiles), err)
	}
	var all []profiles.Profile
	for _, p := range s.Profiles {
		at := func(i int) []int64 { return []int64{p.Batch[i], p.Seq[i]} }
		profile := profiles.Profile{}
		for _, name := range []string{"input_ids", "attention_mask"} {
			profile.Inputs = append(profile.Inputs, profiles.Range{Input: name, Min: at(0), Opt: at(1), Max: at(2)})
		}
		all = append(all, profile)
	}
	return all
}

// The study blamed coverage for 200 failed runs. Its profiles hold every shape:
// with them, each of its messages is explained by what was selected, by an engine
// that is another's, by an axis that was exported static or by a buffer's size.
func TestStudyMessagesAreNeverCoverage(t *testing.T) {
	c := Context{Contract: uncached(), Profiles: published(t)}
	for _, m := range []struct {
		log  string
		want []string
	}{
		{"RuntimeError: set_input_shape_failed: input_ids: 4x19/4x27", []string{"4x19 lies inside profile 3 and 4", "4x27 lies inside profile 3 and 4", "the selected profile 0", "the profiles are right", "stale"}},
		{"RuntimeError: set_input_shape_failed:input_ids:1x128", []string{"1x128 lies inside profile 2", "selected profile 0"}},
		{"IExecutionContext::setInputShape: Static dimension mismatch", []string{"exported static", "stale"}},
		{"pycuda._driver.LogicError: cuMemcpyHtoDAsync failed: invalid argument", []string{"buffer size", "larger than the device buffer"}},
		{"[TRT] [E] IExecutionContext::setInputShape: Error Code 3: API Usage Error (Parameter check failed, condition: satisfyProfile. Set dimension [4,19] for tensor input_ids does not satisfy any optimization profiles. Valid range for profile 0: [1,1]..[1,16].)",
			[]string{"the engine's profile 0 takes input_ids from 1x1 to 1x16, these profiles say 1x8 to 1x32", "stale"}},
		{"[TRT] [E] Static dimension mismatch while setting input shape for input_ids. Set dimensions are [4,19]. Expected dimensions are [1,-1].", []string{"stale", "exported static"}},
	} {
		r := explained(t, m.log, c)
		var b strings.Builder
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		for _, w := range m.want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s\ndoes not say %q:\n%s", m.log, w, b.String())
			}
		}
		if strings.Contains(b.String(), "cover") || r.Root() == nil || r.Root().Correction != nil && len(r.Root().Correction.Changes) > 0 {
			t.Errorf("%s\nis explained by coverage:\n%s", m.log, b.String())
		}
	}
}
