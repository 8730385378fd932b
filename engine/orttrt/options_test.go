package orttrt

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/epoptions"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

var wide = []profiles.Profile{{Name: "wide", Inputs: []profiles.Range{
	{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{4, 512}},
	{Input: "past_key_values.0.key", Min: []int64{1, 12, 0, 64}, Opt: []int64{1, 12, 64, 64}, Max: []int64{4, 12, 1023, 64}},
}}}

// choices is every value of every choice, one at a time and in pairs.
func choices() []Choices {
	number := func(n int) *int { return &n }
	var single []func(*Choices)
	for level := range 6 {
		single = append(single, func(c *Choices) { c.Level = number(level) })
	}
	for _, n := range []int64{0, 1, 1 << 30, 1 << 40} {
		single = append(single, func(c *Choices) { c.WorkspaceBytes = n })
	}
	for _, n := range []int{0, 1, 7} {
		single = append(single, func(c *Choices) { c.AuxStreams = number(n) })
	}
	single = append(single,
		func(c *Choices) { c.HardwareCompatible = true },
		func(c *Choices) { c.Sequential = true },
		func(c *Choices) { c.DetailedLog = true },
		func(c *Choices) { c.UserInitializers = true },
		func(c *Choices) { c.TacticSources = []string{"+CUBLAS", "-CUDNN"} },
		func(c *Choices) { c.Plugins = []string{"/opt/a plugin.so", "b.so"} },
		func(c *Choices) { c.ContextModel = "model_ctx.onnx" },
		func(c *Choices) { c.ContextModel, c.EmbedEngine = "model_ctx.onnx", true },
		func(c *Choices) { c.Implicit = &Implicit{FP16: true, LayerNormFP32: true} },
		func(c *Choices) { c.Implicit = &Implicit{BF16: true} },
		func(c *Choices) { c.Implicit = &Implicit{INT8: true, Table: "table.flatbuffers"} },
		func(c *Choices) {
			c.Implicit = &Implicit{FP16: true, INT8: true, Table: "table.cache", NativeTable: true}
		},
	)
	var all []Choices
	for i, a := range single {
		for _, b := range single[i:] {
			var c Choices
			a(&c)
			b(&c)
			all = append(all, c)
		}
	}
	return all
}

// Every map that can be emitted passes the option parser of the released provider
// and is held there as it was written.
func TestRealParserTakesEveryMap(t *testing.T) {
	p := epoptions.New(t)
	var given [][][2]string
	for _, c := range choices() {
		o, err := c.Options(wide, "/store/engines/0a1b", "decode", "/store/timing", 10)
		if err != nil {
			t.Fatal(err)
		}
		var m [][2]string
		for _, k := range slices.Sorted(maps.Keys(o)) {
			m = append(m, [2]string{k, o[k]})
		}
		given = append(given, m)
	}
	for i, v := range p.Parse(t, given) {
		if !v.OK {
			t.Errorf("%v: %s", given[i], v.Text)
		}
		for _, o := range given[i] {
			if !strings.Contains(v.Text, o[0]+"="+o[1]) {
				t.Errorf("it holds %s\nnot %s=%s", v.Text, o[0], o[1])
			}
		}
	}
	t.Logf("%d maps of options", len(given))
	for _, v := range p.Parse(t, [][][2]string{{{"trt_fp16_enabled", "1"}}, {{"trt_builder_optimization_level", "high"}}}) {
		if v.OK {
			t.Error("the parser takes anything")
		}
	}
}

func TestRefusedChoices(t *testing.T) {
	number := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		Choices
		profiles []profiles.Profile
		cache    string
		major    int
		want     string
	}{
		"two profiles": {profiles: append(wide, wide...), want: "only ever runs its first"},
		"no profile":   {profiles: []profiles.Profile{}, want: "0 profiles"},
		"no cache":     {cache: "-", want: "engine cache"},
		"level":        {Choices: Choices{Level: number(6)}, want: "level 6"},
		"workspace":    {Choices: Choices{WorkspaceBytes: -1}, want: "-1 bytes"},
		"streams":      {Choices: Choices{AuxStreams: number(-1)}, want: "-1 auxiliary"},
		"embed":        {Choices: Choices{EmbedEngine: true}, want: "no context model"},
		"tactic":       {Choices: Choices{TacticSources: []string{"CUBLAS"}}, want: "CUBLAS"},
		"plugin":       {Choices: Choices{Plugins: []string{"a;b"}}, want: "semicolon"},
		"TensorRT 11":  {Choices: Choices{Implicit: &Implicit{FP16: true}}, major: 11, want: "TensorRT 11"},
		"no table":     {Choices: Choices{Implicit: &Implicit{INT8: true}}, want: "calibration table"},
		"table path":   {Choices: Choices{Implicit: &Implicit{INT8: true, Table: "../t"}}, want: "file name"},
		"nothing":      {Choices: Choices{Implicit: &Implicit{}}, want: "without a precision"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.profiles == nil {
				c.profiles = wide
			}
			if c.major == 0 {
				c.major = 10
			}
			cache := "/store/a"
			if c.cache == "-" {
				cache = ""
			}
			_, err := c.Options(c.profiles, cache, "decode", "/store/timing", c.major)
			if fault.Classify(err) != fault.Usage {
				t.Fatalf("err %v", err)
			}
			if text := errText(err); !strings.Contains(text, c.want) {
				t.Errorf("%q does not say %q", text, c.want)
			}
		})
	}
}

// errText is an error with its remedies.
func errText(err error) string {
	text := err.Error()
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			var f *fault.Error
			if errors.As(e, &f) {
				text += " " + f.Fix
			}
		}
	}
	return text
}
