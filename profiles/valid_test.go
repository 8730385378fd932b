package profiles

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
)

// Each broken rule is named with its profile, its input and where; all at once.
func TestValidate(t *testing.T) {
	set := func(input, dim int, size int64) func(c *contract.Contract, p []Profile) {
		return func(_ *contract.Contract, p []Profile) { p[1].Inputs[input].Opt[dim] = size }
	}
	for _, v := range []struct {
		name   string
		change func(c *contract.Contract, p []Profile)
		want   []string
	}{
		{"as derived", func(*contract.Contract, []Profile) {}, nil},
		{"a mask that is not past + sequence", func(_ *contract.Contract, p []Profile) {
			for _, r := range p[1].Inputs[1:2] {
				r.Min[1], r.Opt[1], r.Max[1] = r.Min[1]+1, r.Opt[1]+1, r.Max[1]+1
			}
		}, []string{"profile 1 (decode): attention_mask at min is 10, past 8 and sequence 1 make 9", "at opt", "at max"}},
		{"batches that differ", set(2, 0, 7), []string{"past.0.key dimension 0: 2, 7, 2 is not 0 <= min <= opt <= max", "opt of batch is 7, input_ids has 2"}},
		{"pasts that differ", set(3, 2, 9), []string{"past.0.value dimension 2: opt of past is 9, past.0.key has 8"}},
		{"a negative size", func(_ *contract.Contract, p []Profile) { p[0].Inputs[0].Min[1] = -1 }, []string{"profile 0 (prefill): input_ids dimension 1: -1"}},
		{"a fixed size", set(2, 1, 8), []string{"past.0.key dimension 1: the graph fixes it at 16, opt is 8"}},
		{"a rank", func(_ *contract.Contract, p []Profile) { p[0].Inputs[0].Max = p[0].Inputs[0].Max[:1] }, []string{"input_ids has 2 dimensions, its range has 2, 2 and 1"}},
		{"names", func(_ *contract.Contract, p []Profile) { p[0].Inputs[1].Input = "mask" }, []string{"attention_mask has no range", "mask is no input of the graph"}},
		{"the same twice", func(_ *contract.Contract, p []Profile) { p[0].Inputs = append(p[0].Inputs, p[0].Inputs[0]) }, []string{"input_ids has two ranges"}},
	} {
		c, p := cached(), plan(t).Profiles
		v.change(c, p)
		err := Validate(c, p)
		if (err == nil) != (v.want == nil) {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		for _, want := range v.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\ndoes not say %s", v.name, err, want)
			}
		}
	}
}
