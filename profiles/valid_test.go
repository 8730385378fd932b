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
		{"a fixed size", set(2, 1, 8), []string{"past.0.key dimension 1: the graph fixes it at 16, min, opt and max are 16, 8, 16"}},
		{"a rank", func(_ *contract.Contract, p []Profile) { p[0].Inputs[0].Max = p[0].Inputs[0].Max[:1] }, []string{"input_ids has 2 sizes at min, 2 at opt and 1 at max"}},
		{"a rank that all three share", func(_ *contract.Contract, p []Profile) {
			r := &p[0].Inputs[0]
			r.Min, r.Opt, r.Max = r.Min[:1], r.Opt[:1], r.Max[:1]
		}, []string{"input_ids has 2 dimensions, its range has 1"}},
		{"one end only", func(_ *contract.Contract, p []Profile) { p[0].Inputs[0].Min, p[0].Inputs[0].Opt = nil, nil }, []string{"input_ids has no min and no opt"}},
		{"an input that the second profile forgets", func(_ *contract.Contract, p []Profile) { p[1].Inputs = p[1].Inputs[1:] }, []string{"profile 1 (decode): input_ids has no range, and has one in 1 of 2 profiles"}},
		{"an input of fixed shape without a range", func(c *contract.Contract, _ []Profile) {
			c.Inputs = append(c.Inputs, contract.Tensor{Name: "flag", Type: "bool", Dims: dims(contract.Static)})
		}, nil},
		{"a sequence that the graph fixes", func(c *contract.Contract, p []Profile) {
			c.Inputs[0].Dims[1].Size = 1
			p[1].Inputs[1].Max[1]++
		}, []string{"attention_mask at max is"}},
		{"values of what is no shape tensor", func(_ *contract.Contract, p []Profile) { p[0].Inputs[3].Values = true }, []string{`past.0.value is , and only int32 and int64 tensors have values`}},
		{"a total that its buffer cannot hold", func(c *contract.Contract, p []Profile) {
			c.Inputs[2].Dims[2].Role, c.Inputs[3].Dims[2].Role = contract.Buffer, contract.Buffer
			for _, i := range []int{2, 3} {
				r := &p[1].Inputs[i]
				r.Min[2], r.Opt[2], r.Max[2] = 10, 10, 10
			}
		}, []string{"attention_mask at max is"}},
		{"free sizes of one name", func(c *contract.Contract, _ []Profile) {
			for i := range 2 {
				c.Inputs[i].Dims[1] = contract.Dim{Role: contract.Free, Symbol: "n"}
			}
		}, []string{"profile 1 (decode): attention_mask dimension 1: min of n is"}},
		{"free sizes without a name", func(c *contract.Contract, _ []Profile) {
			for i := range 2 {
				c.Inputs[i].Dims[1] = contract.Dim{Role: contract.Free}
			}
		}, nil},
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
