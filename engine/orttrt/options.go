package orttrt

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// Choices are what one may ask of the TensorRT EP's builder; the zero value is
// what engines want. Names, types and defaults: ONNX Runtime 1.31,
// core/providers/tensorrt/tensorrt_execution_provider_info.cc.
type Choices struct {
	Level              *int     // builder optimization level, 0 to 5; nil is the builder's default, 3
	WorkspaceBytes     int64    // 0 is all of the device
	AuxStreams         *int     // 0 is the least memory; nil is the builder's choice
	HardwareCompatible bool     // one engine for compute capability 8.0 and above
	Sequential         bool     // build one engine at a time
	Sparsity           bool     // kernels for weights that are sparse 2:4
	ForceTiming        bool     // take a timing cache of a slightly different GPU
	TF32               bool     // FP32 products may round their operands to 10 bits of mantissa
	TacticSources      []string // "+CUBLAS", "-CUDNN"
	Plugins            []string // paths of libraries
	Exclude            []string // operators that are not TensorRT's to run
	Device             int      // which GPU
	Embed              bool     // the engine inside of the context model, 2 GB at most, rather than beside it
	Split              bool     // prefill and decode are an engine each
	// UserInitializers hands the weights over instead of writing them into the graph
	// that TensorRT parses, which can have 2 GB at most. It changes no engine, so the
	// builder sets it by the model's size.
	UserInitializers bool
	// Implicit is the precision of TensorRT 10 and older that comes from flags and
	// tables instead of from the graph; nil is explicit. TensorRT 11 has none.
	Implicit *Implicit
}

// Implicit is precision by flag. TensorRT 11 ignores the flags with a warning and
// builds FP32, so they are refused there.
type Implicit struct {
	FP16, BF16, INT8 bool
	Table            string // file name of the calibration table in the cache directory
	NativeTable      bool   // of TensorRT's own cache format, not ONNX Runtime's
	LayerNormFP32    bool   // layer norms in FP32 beside FP16
}

// implicitUntil is the last major version of TensorRT that has implicit precision.
const implicitUntil = 10

// Place is where an engine comes to lie.
type Place struct {
	// Dir is a directory of this engine alone: the provider names its files after
	// node names, not after weights, so engines that share one replace each other.
	Dir string
	// Prefix begins the names of its files: the engines of prefill and decode share
	// a directory.
	Prefix string
	// Timing is the directory of the timing cache.
	Timing string
}

// Context is the context model's path.
func (p Place) Context() string { return filepath.Join(p.Dir, p.context()) }

func (p Place) context() string { return p.Prefix + "_ctx.onnx" }

// Options are the provider's options for the session that builds the engine of a
// profile; major is TensorRT's. All that is wrong is told at once, as class usage.
func (c Choices) Options(all []profiles.Profile, at Place, major int) (map[string]string, error) {
	if err := c.check(all, at, major); err != nil {
		return nil, err
	}
	o := c.common()
	maps.Copy(o, map[string]string{
		// Relative to the context model, beside which it has to lie; an absolute path is
		// refused.
		"trt_engine_cache_enable": "1", "trt_engine_cache_path": ".", "trt_engine_cache_prefix": at.Prefix,
		"trt_timing_cache_enable": "1", "trt_timing_cache_path": at.Timing,
		"trt_dump_ep_context_model": "1", "trt_ep_context_file_path": at.Context(), "trt_ep_context_embed_mode": "0",
		"trt_detailed_build_log": "1", // the only account of the layers that there is
	})
	if c.Embed {
		o["trt_ep_context_embed_mode"] = "1"
	}
	profile, err := syntax.TensorRTOptions(all)
	if err != nil {
		return nil, err
	}
	maps.Copy(o, profile)
	c.tune(o)
	if c.Implicit != nil {
		c.Implicit.set(o)
	}
	return o, nil
}

// common are the options of every session. Some are stated although they are the
// defaults: an ORT_TENSORRT_* variable left in the environment must not decide. CUDA
// graphs are no choice: the provider captures one a session, with the addresses of
// its first run, and a cache that is used in turn has other ones in the next.
func (c Choices) common() map[string]string {
	o := map[string]string{
		"trt_fp16_enable": "0", "trt_bf16_enable": "0", "trt_int8_enable": "0", "trt_dla_enable": "0",
		"trt_weight_stripped_engine_enable": "0", "trt_dump_ep_context_model": "0", "trt_cuda_graph_enable": "0",
	}
	if c.Device > 0 { // the parser asks CUDA whether there is such a one
		o["device_id"] = strconv.Itoa(c.Device)
	}
	if len(c.Plugins) > 0 {
		o["trt_extra_plugin_lib_paths"] = strings.Join(c.Plugins, ";")
	}
	return o
}

// check finds every choice that cannot be.
func (c Choices) check(all []profiles.Profile, at Place, major int) error {
	var errs []error
	bad := func(cause, fix string) {
		errs = append(errs, fault.New(fault.Usage, "choosing options of", "the TensorRT EP", cause, fix))
	}
	if len(all) != 1 {
		bad(fmt.Sprintf("%d profiles, and a session only ever runs its first", len(all)), "derive one wide profile, or give each phase an engine of its own (--split)")
	}
	if at.Dir == "" || at.Timing == "" || at.Prefix == "" || strings.ContainsRune(at.Prefix, filepath.Separator) {
		bad(fmt.Sprintf("engine cache %q with prefix %q, timing cache %q", at.Dir, at.Prefix, at.Timing), "give directories and a plain prefix")
	}
	if c.Level != nil && (*c.Level < 0 || *c.Level > 5) {
		bad(fmt.Sprintf("builder optimization level %d", *c.Level), "want 0 to 5")
	}
	if c.WorkspaceBytes < 0 {
		bad(fmt.Sprintf("a workspace of %d bytes", c.WorkspaceBytes), "want 0 for all of the device, or a size")
	}
	if c.AuxStreams != nil && *c.AuxStreams < 0 {
		bad(fmt.Sprintf("%d auxiliary streams", *c.AuxStreams), "want 0 or more")
	}
	if c.Device < 0 {
		bad(fmt.Sprintf("GPU %d", c.Device), "want 0 or more")
	}
	for _, s := range c.TacticSources {
		if len(s) < 2 || !strings.ContainsAny(s[:1], "+-") || strings.Contains(s, ",") {
			bad(fmt.Sprintf("tactic source %q", s), "write +CUBLAS or -CUDNN")
		}
	}
	for _, p := range c.Plugins {
		if p == "" || strings.Contains(p, ";") {
			bad(fmt.Sprintf("plugin library %q", p), "give a path without a semicolon")
		}
	}
	for _, op := range c.Exclude {
		if op == "" || strings.Contains(op, ",") {
			bad(fmt.Sprintf("operator %q", op), "give one name each")
		}
	}
	if c.Implicit != nil {
		errs = append(errs, c.Implicit.check(major))
	}
	return errors.Join(errs...)
}

func (i Implicit) check(major int) error {
	bad := func(cause, fix string) error {
		return fault.New(fault.Usage, "choosing options of", "the TensorRT EP", cause, fix)
	}
	switch {
	case major > implicitUntil:
		return bad(fmt.Sprintf("implicit precision on TensorRT %d, which ignores its flags and would build FP32", major),
			"quantize the graph (`trtforge quantize`): explicit precision means the same on every TensorRT")
	case major < 1: // of a plugin nobody says which TensorRT it is of
		return bad("implicit precision on a TensorRT of unknown version, which may ignore its flags", "quantize the graph (`trtforge quantize`), or use the provider that is built in")
	case i.INT8 != (i.Table != ""):
		return bad("implicit INT8 needs a calibration table, and a table needs INT8", "give both or neither")
	case i.Table != filepath.Base(i.Table) && i.Table != "":
		return bad(fmt.Sprintf("calibration table %q: the provider looks for it in the cache directory", i.Table), "give a file name")
	case !i.FP16 && !i.BF16 && !i.INT8:
		return bad("implicit precision without a precision", "ask for FP16, BF16 or INT8")
	}
	return nil
}

// tune adds the builder's options that differ from the provider's defaults.
func (c Choices) tune(o map[string]string) {
	if c.Level != nil {
		o["trt_builder_optimization_level"] = strconv.Itoa(*c.Level)
	}
	if c.WorkspaceBytes > 0 {
		o["trt_max_workspace_size"] = strconv.FormatInt(c.WorkspaceBytes, 10)
	}
	if c.AuxStreams != nil {
		o["trt_auxiliary_streams"] = strconv.Itoa(*c.AuxStreams)
	}
	for name, on := range map[string]bool{
		"trt_engine_hw_compatible": c.HardwareCompatible, "trt_force_sequential_engine_build": c.Sequential,
		"trt_sparsity_enable": c.Sparsity, "trt_force_timing_cache": c.ForceTiming, "trt_load_user_initializer": c.UserInitializers,
	} {
		if on {
			o[name] = "1"
		}
	}
	if len(c.TacticSources) > 0 {
		o["trt_tactic_sources"] = strings.Join(c.TacticSources, ",")
	}
	if len(c.Exclude) > 0 {
		o["trt_op_types_to_exclude"] = strings.Join(c.Exclude, ",")
	}
}

// set adds the flags of implicit precision.
func (i Implicit) set(o map[string]string) {
	for name, on := range map[string]bool{
		"trt_fp16_enable": i.FP16, "trt_bf16_enable": i.BF16, "trt_int8_enable": i.INT8,
		"trt_layer_norm_fp32_fallback": i.LayerNormFP32, "trt_int8_use_native_calibration_table": i.NativeTable,
	} {
		if on {
			o[name] = "1"
		}
	}
	if i.Table != "" {
		o["trt_int8_calibration_table_name"] = i.Table
	}
}
