package contract

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

func TestParseBinding(t *testing.T) {
	for text, want := range map[string]Binding{
		"input_ids:0=batch":       {Input: "input_ids", Dim: 0, Role: Batch},
		"x:12=buffer":             {Input: "x", Dim: 12, Role: Buffer},
		"x:1=8":                   {Input: "x", Dim: 1, Size: 8},
		"x:2=1..64":               {Input: "x", Dim: 2, Role: Free, Limits: &Limits{1, 64, 64}},
		"x:2=0..8..64":            {Input: "x", Dim: 2, Role: Free, Limits: &Limits{0, 8, 64}},
		"serving:ids:0:1=seq":     {Input: "serving:ids:0", Dim: 1, Role: Seq},
		"a=b:c:1=past":            {Input: "a=b:c", Dim: 1, Role: Past},
		"ünïcode/名前:0=total":      {Input: "ünïcode/名前", Dim: 0, Role: Total},
		"past_key_values.0.k:3=4": {Input: "past_key_values.0.k", Dim: 3, Size: 4},
	} {
		got, err := ParseBinding(text)
		want.Where = "--bind " + text
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
	for text, want := range map[string]string{
		"":                         "no =",
		"x=batch":                  "no input:dim",
		":0=batch":                 "no input:dim",
		"x:-1=batch":               `"-1"`,
		"x:y=batch":                `"y"`,
		"x:0=":                     "no role, no size and no range",
		"x:0=heads":                `"heads"`,
		"x:0=0":                    "size 0",
		"x:0=-3":                   "size -3",
		"x:0=99999999999":          "size 99999999999",
		"x:0=1e3":                  `"1e3"`,
		"x:0=9..3":                 "min <= opt <= max",
		"x:0=3..2..9":              "min <= opt <= max",
		"x:0=0..0":                 "min <= opt <= max",
		"x:0=1..2..3..4":           "no range",
		"x:0=1..":                  `""`,
		"x:0=-1..4":                `"-1"`,
		"x:0=1..99999999999999999": "99999999999999999",
		"x:0=free":                 `"free"`,
	} {
		if _, err := ParseBinding(text); fault.Exit(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestBindShape(t *testing.T) {
	got, err := BindShape("pixel_values", []any{"batch", int64(3), "", "224..448"}, "p.toml:4")
	if err != nil {
		t.Fatal(err)
	}
	want := Bindings{
		{Input: "pixel_values", Dim: 0, Role: Batch, Where: "p.toml:4"},
		{Input: "pixel_values", Dim: 1, Size: 3, Where: "p.toml:4"},
		{Input: "pixel_values", Dim: 3, Role: Free, Limits: &Limits{224, 448, 448}, Where: "p.toml:4"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if _, err := BindShape("x", []any{true}, "p.toml:4"); fault.Exit(err) != 2 || !strings.Contains(err.Error(), "p.toml:4: x: dimension 0") {
		t.Errorf("got %v", err)
	}
}

// A caller's word holds against names, layouts and nodes; where it fits nothing
// it is refused with the place that it stands in.
func TestBound(t *testing.T) {
	c, err := Infer(load(t, "optimum-resnet"), Binding{Input: "pixel_values", Dim: 2, Role: Free, Limits: &Limits{32, 64, 96}},
		Binding{Input: "pixel_values", Dim: 3, Size: 64}, Binding{Input: "pixel_values", Dim: 0, Role: Seq})
	if err != nil {
		t.Fatal(err)
	}
	want := []Dim{
		{Role: Seq, Symbol: "batch_size", Source: Bound},
		{Role: Static, Size: 3, Symbol: "num_channels", Source: FromGraph},
		{Role: Free, Symbol: "height", Limits: &Limits{32, 64, 96}, Source: Bound},
		{Role: Static, Size: 64, Symbol: "width", Source: Bound},
	}
	if d := cmp.Diff(want, c.Inputs[0].Dims); d != "" {
		t.Error(d)
	}
	for want, b := range map[string]Binding{
		`p.toml:7: the graph has no input "pixels"`: {Input: "pixels", Where: "p.toml:7"},
		"pixel_values has 4 dimensions":             {Input: "pixel_values", Dim: 4, Role: Batch},
		"static needs a size":                       {Input: "pixel_values", Dim: 2, Role: Static},
	} {
		if _, err := Infer(load(t, "optimum-resnet"), b); fault.Exit(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	fixed := load(t, "gpt2")
	fix(fixed, "input_ids", 0, 1)
	if _, err := Infer(fixed, Binding{Input: "input_ids", Dim: 0, Size: 4}); fault.Exit(err) != 2 || !strings.Contains(err.Error(), "fixes dimension 0 of input_ids at 1") {
		t.Errorf("got %v", err)
	}
	// What the nodes prove no binding can change: the plan would fail at run time.
	for text, want := range map[string]string{
		"attention_mask:1=seq":           "the graph makes it total",
		"past_key_values.0.key:2=buffer": "the graph puts new keys and values behind it",
		"past_key_values.0.key:0=seq":    "the graph makes it batch",
		"position_ids:1=1..4..8":         "the graph makes it seq",
	} {
		bound, err := ParseBindings([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Infer(load(t, "gpt2"), bound...); fault.Exit(err) != 4 || !strings.Contains(err.Error(), want) {
			t.Errorf("--bind %s: %v, want %s", text, err, want)
		}
	}
	// The contents of a shape tensor.
	m := load(t, "gpt2")
	m.Graph().Input = append(m.Graph().Input, onnx.ValueInfo("cut", onnx.Int64, onnx.Fixed(2)))
	bound, err := ParseBindings([]string{"cut:values=past", "cut:values.1=1..4..8"})
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Infer(m, bound...); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]Dim{{Role: Past, Source: Bound}, {Role: Free, Limits: &Limits{1, 4, 8}, Source: Bound}}, c.input("cut").Values); d != "" {
		t.Error(d)
	}
	for text, want := range map[string]string{"cut:values.2=past": "holds 2 values", "cut:values.1=past": "element 0 of its values is not bound",
		"past_key_values.0.key:values=past": "only int32 and int64", "input_ids:values=past": "is no shape tensor"} {
		bound, err := ParseBindings([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Infer(m, bound...); fault.Exit(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("--bind %s: %v, want %s", text, err, want)
		}
	}
	// Fixing a size keeps the role.
	c, err = Infer(load(t, "gpt2"), Binding{Input: "input_ids", Dim: 0, Size: 4})
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Inputs[0].Dims[0]; d.Role != Batch || d.Size != 4 || d.Source != Bound {
		t.Errorf("%+v", d)
	}
}
