package quant

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// listed is the list of a recipe, and Apply with a table of plausible ranges.
func listed(t *testing.T, r Recipe) (*Decisions, func(Recipe) (*Result, error)) {
	t.Helper()
	m := quanttest.GPT2(t)
	all, err := Recipe{Precision: INT8, Roles: Roles}.Targets(m)
	if err != nil {
		t.Fatal(err)
	}
	table := &calib.Table{Ranges: map[string]calib.Range{}}
	if table.Model, err = m.Digest(); err != nil {
		t.Fatal(err)
	}
	for _, tensor := range Observe(all) {
		table.Ranges[tensor] = calib.Range{Lo: -2, Hi: 3, Amax: 3}
	}
	apply := func(r Recipe) (*Result, error) { return Apply(m, table, r) }
	out, err := apply(r)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecisions(out, r, table)
	if err != nil {
		t.Fatal(err)
	}
	return d, apply
}

// TestDecisionsDecide writes a list, edits it and gives it back.
func TestDecisionsDecide(t *testing.T) {
	d, apply := listed(t, Recipe{Precision: INT8, Roles: []Role{QKV, FC1, LMHead, Scores}})
	if d.Model == "" || d.Table == "" || len(d.Decisions) != 13 {
		t.Fatalf("%d decisions of model %q, table %q", len(d.Decisions), d.Model, d.Table)
	}
	path := filepath.Join(t.TempDir(), "decisions.json")
	if err := d.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	read, err := ReadDecisionsFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range read.Decisions {
		c := &read.Decisions[i]
		if want := c.Role == QKV || c.Role == FC1 || c.Role == LMHead || c.Role == Scores; c.Quantized != want {
			t.Errorf("%s, %s: quantized %v", c.Node, c.Role, c.Quantized)
		}
		if c.Quantized && c.Weight != "" && (c.Lo == nil || *c.Hi != 3 || c.WeightBytes >= c.FloatBytes) {
			t.Errorf("%s: %+v", c.Node, c)
		}
		c.Quantized = c.Layer == 1 && c.Weight != "" // the edit
	}
	out, err := apply(Recipe{Precision: INT8, Choices: read.Choices()})
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range out.Decisions {
		if want := read.Decisions[i].Quantized; got.Quantized != want || !strings.HasPrefix(got.Reason, "the decision list") {
			t.Errorf("%s: quantized %v because %q, the list says %v", got.Node, got.Quantized, got.Reason, want)
		}
	}
	read.Decisions[0].Node, read.Decisions[3].Node = "gone", "lost"
	_, err = apply(Recipe{Precision: INT8, Choices: read.Choices()})
	if fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), `"gone", "lost"`) {
		t.Errorf("unknown nodes: %v", err)
	}
	if err := read.Fits("another"); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), read.Model) || !strings.Contains(err.Error(), "another") {
		t.Errorf("another model: %v", err)
	}
}

func TestDecisionsThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		`[]`:               "it wants to be an object, not a list",
		`{"kind":"table"}`: `its kind is "table"`,
		`{"kind":"decisions","schema_version":2}`:                                                            "reads up to 1",
		`{"kind":"decisions","schema_version":1,"precision":"fp8"}`:                                          "fp8",
		`{"kind":"decisions","schema_version":1,"smooth":"much"}`:                                            "much",
		`{"kind":"decisions","schema_version":1,"decisions":[{"node":"a"},{"node":""},{"node":"a"}]}`:        "names no node",
		`{"kind":"decisions","schema_version":1,"decisions":[{"node":"a"},{"node":"b"},{"node":"a"}]}`:       `"a" stands there twice`,
		`{"kind":"decisions","schema_version":1,"decisions":[{"node":"a","sensitivity":{"kl":"infinite"}}]}`: "not a number",
		`{"kind":"decisions","schema_version":1,"decisions":[{"node":"a","quantised":false},{"node":"b"}]}`:  `decision 1, node "a": field "quantised" is not known`,
		`{"kind":"decisions","schema_version":1,"decisions":[{"node":"a"},{"node":"b","quantized":"no"}]}`:   `decision 2, node "b": field "quantized" wants true or false, not a text`,
	} {
		if _, err := ReadDecisions(strings.NewReader(text), "d.json"); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an input error with %q", text, err, want)
		}
	}
}

func TestRecipesThatCannotBe(t *testing.T) {
	m := quanttest.GPT2(t)
	table := &calib.Table{Model: "another"}
	for name, c := range map[string]struct {
		r     Recipe
		table *calib.Table
		code  fault.Code
		want  string
	}{
		"no precision":  {Recipe{}, nil, fault.Usage, "not one that trtforge knows"},
		"no table":      {Recipe{Precision: INT8}, nil, fault.Usage, "needs the ranges"},
		"other table":   {Recipe{Precision: INT8}, table, fault.Input, "another"},
		"other table 2": {Recipe{Precision: FP16}, table, fault.Input, "another"},
		"smoothing":     {Recipe{Precision: FP16, Smooth: "1.5"}, nil, fault.Usage, "from 0 to 1"},
		"io":            {Recipe{Precision: FP32, IO: []string{"fp16"}}, nil, fault.Usage, "float32 inputs and outputs only"},
	} {
		if _, err := Apply(m, c.table, c.r); fault.Classify(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.code, c.want)
		}
	}
}

// TestTrafficCountsWhatAStepReads: the tied embeddings are read as a whole by the
// head, the positions by row.
func TestTrafficCountsWhatAStepReads(t *testing.T) {
	m := quanttest.GPT2(t)
	positions := int64(64 * 32 * 4)
	if got, most := Traffic(m), m.Size(); got >= most || got < most-positions {
		t.Errorf("%d bytes of %d, positions take %d", got, most, positions)
	}
	out, err := Apply(m, nil, Recipe{Precision: W8})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := Traffic(out.Model), Traffic(m); float64(a) > 0.6*float64(b) {
		t.Errorf("INT8 weights: %d bytes a step, were %d", a, b)
	}
}

// FuzzDecisions: what is read is written and read the same again.
func FuzzDecisions(f *testing.F) {
	f.Add([]byte(`{"kind":"decisions","schema_version":1,"precision":"int8","future":1,"decisions":[{"node":"a","quantized":true,"lo":-1,"sensitivity":{"kl":"+Inf","kl_lo":1,"kl_hi":2,"ppl_ratio":"NaN"}}]}`))
	f.Add([]byte(`{"kind":"decisions","schema_version":1,"decisions":[],"folds":[{"tensor":"x","alpha":0.5}]}`))
	f.Add([]byte(`{"kind":"decisions","schema_version":1,"decisions":[{"node":"a"},{"node":"a"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ReadDecisions(bytes.NewReader(b), "fuzz")
		if err != nil {
			if fault.Classify(err) != fault.Input {
				t.Fatalf("not an input error: %v", err)
			}
			return
		}
		once, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadDecisions(bytes.NewReader(once), "written")
		if err != nil {
			t.Fatalf("%v in %s", err, once)
		}
		if twice, _ := json.Marshal(again); !bytes.Equal(once, twice) {
			t.Fatalf("%s\nbecame\n%s", once, twice)
		}
	})
}
