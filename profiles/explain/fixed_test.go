package explain

import (
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// An axis that each request chooses can be exported dynamic; heads cannot, and an
// array with others is of another model.
func TestFixedAxisByRole(t *testing.T) {
	const line = "[TRT] [E] IExecutionContext::setInputShape: Error Code 3: API Usage Error (Static dimension mismatch while setting input shape for past.0.key. Set dimensions are [4,8,27,64]. Expected dimensions are [-1,4,-1,64].)"
	of := func(change func(d []contract.Dim)) *contract.Contract {
		c := cached()
		d := c.Inputs[2].Dims
		d[1].Size, d[3].Size = 4, 64
		change(d)
		return c
	}
	plan := []profiles.Profile{{Inputs: []profiles.Range{{Input: "past.0.key", Min: []int64{1, 4, 0, 64}, Opt: []int64{1, 4, 0, 64}, Max: []int64{4, 4, 30, 64}}}}}
	heads := of(func([]contract.Dim) {})
	for name, test := range map[string]struct {
		log  string
		c    Context
		want []string
		not  string
	}{
		"a contract":              {line, Context{Contract: heads}, []string{"another model: its dimension 1, heads, is 8, the model has 4", "give arrays of this model, with 4"}, "dynamic"},
		"a contract and a plan":   {line, Context{Contract: heads, Profiles: plan}, []string{"another model: its dimension 1, heads, is 8, the model has 4"}, "dynamic"},
		"an engine of another":    {line, Context{Contract: of(func(d []contract.Dim) { d[1].Size = 8 })}, []string{"the engine was built from another model"}, "export"},
		"a batch":                 {strings.Replace(line, "[-1,4,-1,64]", "[1,8,-1,64]", 1), Context{Contract: of(func(d []contract.Dim) { d[0].Size = 1 })}, []string{"export the model with dimension 0 of past.0.key (batch) dynamic"}, "another model"},
		"nothing":                 {line, Context{}, []string{"array is of another model", "exported static", "heads", "export it dynamic"}, "the model has 4"},
		"a plan without contract": {line, Context{Profiles: plan}, []string{"array is of another model", "exported static", "export it dynamic"}, "the model has 4"},
	} {
		var b strings.Builder
		r := explained(t, test.log, test.c)
		if err := r.Text(&b); err != nil {
			t.Fatal(err)
		}
		said := strings.ReplaceAll(b.String(), r.Root().Evidence.Text, "")
		if name == "a batch" { // the finding's own words name all that it may be
			said = r.Root().Fix + strings.Join(r.Root().Correction.Notes, " ")
		}
		for _, w := range test.want {
			if !strings.Contains(said, w) {
				t.Errorf("%s does not say %q:\n%s", name, w, said)
			}
		}
		if strings.Contains(said, test.not) {
			t.Errorf("%s says %q:\n%s", name, test.not, said)
		}
	}
}
