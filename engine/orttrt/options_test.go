package orttrt

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/internal/epoptions"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

var wide = []profiles.Profile{{Name: "wide", Inputs: []profiles.Range{
	{Input: "input_ids", Min: []int64{1, 1}, Opt: []int64{1, 1}, Max: []int64{4, 512}},
	{Input: "past_key_values.0.key", Min: []int64{1, 12, 0, 64}, Opt: []int64{1, 12, 64, 64}, Max: []int64{4, 12, 1023, 64}},
}}}

var places = []Place{
	{Dir: "/store/engines/0a1b", Prefix: "engine", Timing: "/store/engines/0a1b/timing"},
	{Dir: "/store/engines/0a1b", Prefix: "prefill", Timing: "/store/engines/0a1b/timing"},
	{Dir: "/a place, with: signs", Prefix: "decode", Timing: "/t"},
}

// values are every choice with every value that it has, or those at the edges of a
// number.
func values() []func(*Choices) {
	number := func(n int) *int { return &n }
	var all []func(*Choices)
	for level := range 6 {
		all = append(all, func(c *Choices) { c.Level = number(level) })
	}
	for _, n := range []int64{0, 1, 1 << 30, 1<<63 - 1} {
		all = append(all, func(c *Choices) { c.WorkspaceBytes = n })
	}
	for _, n := range []int{0, 1, 7} {
		all = append(all, func(c *Choices) { c.AuxStreams = number(n) })
	}
	// Every switch, those that are added later too.
	for i := range reflect.TypeFor[Choices]().NumField() {
		if reflect.TypeFor[Choices]().Field(i).Type.Kind() == reflect.Bool {
			all = append(all, func(c *Choices) { reflect.ValueOf(c).Elem().Field(i).SetBool(true) })
		}
	}
	return append(all,
		func(c *Choices) { c.TacticSources = []string{"+CUBLAS", "-CUDNN"} },
		func(c *Choices) { c.TacticSources = []string{"+CUBLAS_LT"} },
		func(c *Choices) { c.Plugins = []string{"/opt/a plugin.so", "b.so"} },
		func(c *Choices) { c.Exclude = []string{"NonZero"} },
		func(c *Choices) { c.Exclude = []string{"NonZero", "RoiAlign"} },
		func(c *Choices) { c.Implicit = &Implicit{FP16: true} },
		func(c *Choices) { c.Implicit = &Implicit{FP16: true, LayerNormFP32: true} },
		func(c *Choices) { c.Implicit = &Implicit{BF16: true} },
		func(c *Choices) { c.Implicit = &Implicit{INT8: true, Table: tableFile} },
		func(c *Choices) { c.Implicit = &Implicit{FP16: true, INT8: true, Table: tableFile, NativeTable: true} },
	)
}

// choices are all values, one at a time and in pairs.
func choices() []Choices {
	single := values()
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

// Every map that can be emitted, for a build, for a split build, for the plugin form
// and for opening, passes the option parser of the released provider and is held
// there as it was written. (But for a device other than 0, of which the parser asks
// CUDA.)
func TestRealParserTakesEveryMap(t *testing.T) {
	p := epoptions.New(t)
	seen := map[string]bool{}
	var given [][][2]string
	add := func(o map[string]string) {
		var m [][2]string
		for _, k := range slices.Sorted(maps.Keys(o)) {
			m = append(m, [2]string{k, o[k]})
			seen[k] = true
		}
		given = append(given, m)
	}
	for i, c := range choices() {
		o, err := c.Options(wide, places[i%len(places)], 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []Builder{{}, {Plugin: "/opt/plugin.so"}} {
			add(b.provider(o, false).Options)
			add(b.provider(c.opening(), true).Options)
		}
	}
	verdicts := p.Parse(t, given)
	for i, v := range verdicts {
		if !v.OK {
			t.Fatalf("%v: %s", given[i], v.Text)
		}
		for _, o := range given[i] {
			if !strings.Contains(v.Text, o[0]+"="+o[1]) {
				t.Fatalf("it holds %s\nnot %s=%s", v.Text, o[0], o[1])
			}
		}
	}
	t.Logf("%d maps of %d options", len(given), len(seen))
	if len(seen) < 30 {
		t.Errorf("only %d options were tried: %v", len(seen), slices.Sorted(maps.Keys(seen)))
	}
	for _, bad := range [][2]string{{"trt_fp16_enabled", "1"}, {"trt_builder_optimization_level", "high"}, {"trt_max_workspace_size", "1GB"}, {"trt_engine_cache_enable", "perhaps"}} {
		if v := p.Parse(t, [][][2]string{{bad}})[0]; v.OK || !strings.Contains(v.Text, bad[0]) {
			t.Errorf("%v: the parser says %q", bad, v.Text)
		}
	}
}

// The options of the plugin form, a parser of its own that refuses what it does not
// know: onnxruntime/onnxruntime-ep-tensorrt, src/tensorrt_execution_provider_info.cc, of
// commit 3c4eadb. It is released as source alone, so its names stand here.
const pluginOptions = "device_id has_user_compute_stream user_compute_stream trt_max_partition_iterations trt_min_subgraph_size " +
	"trt_max_workspace_size trt_fp16_enable trt_int8_enable trt_bf16_enable trt_int8_calibration_table_name " +
	"trt_int8_use_native_calibration_table trt_dla_enable trt_dla_core trt_dla_mem_pool_limit trt_dla_gpu_fallback_enable " +
	"trt_dla_enable_uint8_asymmetric_quantization trt_dla_adjust_for_dla trt_dump_subgraphs trt_engine_cache_enable " +
	"trt_engine_cache_path trt_weight_stripped_engine_enable trt_onnx_model_folder_path trt_engine_cache_prefix " +
	"trt_engine_decryption_enable trt_engine_decryption_lib_path trt_force_sequential_engine_build " +
	"trt_context_memory_sharing_enable trt_layer_norm_fp32_fallback trt_timing_cache_enable trt_timing_cache_path " +
	"trt_force_timing_cache trt_detailed_build_log trt_build_heuristics_enable trt_sparsity_enable " +
	"trt_builder_optimization_level trt_auxiliary_streams trt_tactic_sources trt_extra_plugin_lib_paths " +
	"trt_profile_min_shapes trt_profile_max_shapes trt_profile_opt_shapes trt_cuda_graph_enable trt_ep_context_embed_mode " +
	"trt_ep_context_file_path trt_dump_ep_context_model trt_engine_hw_compatible trt_onnx_bytestream trt_onnx_bytestream_size " +
	"trt_external_data_bytestream trt_external_data_bytestream_size trt_op_types_to_exclude"

func TestPluginKnowsEveryOption(t *testing.T) {
	known := strings.Fields(pluginOptions)
	for _, c := range choices() {
		if c.UserInitializers {
			continue // Build refuses such a model
		}
		o, err := c.Options(wide, places[0], 10)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(o, c.opening())
		for name := range o {
			if !slices.Contains(known, name) {
				t.Fatalf("it has no option %s", name)
			}
		}
	}
}

// Choices are written and read as options of a request, and each value is another key.
func TestChoicesAsOptions(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range choices() {
		c.UserInitializers = false // not a choice
		of := c.Map()
		got, err := ParseChoices(of)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c, got); d != "" {
			t.Fatalf("%v: %s", of, d)
		}
		for k := range of {
			seen[k] = true
		}
	}
	for _, o := range options {
		if !seen[o.name] && o.name != "device" {
			t.Errorf("no choice writes %s", o.name)
		}
		if !strings.Contains(Names(), o.name) {
			t.Errorf("help does not list %s", o.name)
		}
	}
	_, err := ParseChoices(map[string]string{"depth": "3", "embed": "perhaps", "device": "one", "implicit": "fp8"})
	for _, want := range []string{"depth", "perhaps", "one", "fp8"} {
		if fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	for text, tf32 := range map[string]string{"1": "1", "0": "0", "": "0"} {
		of := map[string]string{"tf32": text}
		if text == "" {
			of = nil
		}
		c, err := ParseChoices(of)
		if err != nil || c.Map()["tf32"] != tf32 {
			t.Errorf("tf32 %q becomes %v, %v", text, c.Map(), err)
		}
	}
}

func TestRefusedChoices(t *testing.T) {
	number := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		Choices
		profiles []profiles.Profile
		at       *Place
		major    int
		want     string
	}{
		"two profiles": {profiles: append(wide, wide...), want: "only ever runs its first"},
		"no profile":   {profiles: []profiles.Profile{}, want: "0 profiles"},
		"no cache":     {at: &Place{Prefix: "engine"}, want: "engine cache"},
		"prefix":       {at: &Place{Dir: "/a", Prefix: "b/c", Timing: "/t"}, want: "engine cache"},
		"level":        {Choices: Choices{Level: number(6)}, want: "level 6"},
		"workspace":    {Choices: Choices{WorkspaceBytes: -1}, want: "-1 bytes"},
		"streams":      {Choices: Choices{AuxStreams: number(-1)}, want: "-1 auxiliary"},
		"device":       {Choices: Choices{Device: -1}, want: "GPU -1"},
		"tactic":       {Choices: Choices{TacticSources: []string{"CUBLAS"}}, want: "CUBLAS"},
		"plugin":       {Choices: Choices{Plugins: []string{"a;b"}}, want: "semicolon"},
		"operator":     {Choices: Choices{Exclude: []string{"A,B"}}, want: "one name each"},
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
			if c.at == nil {
				c.at = &places[0]
			}
			_, err := c.Options(c.profiles, *c.at, c.major)
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
