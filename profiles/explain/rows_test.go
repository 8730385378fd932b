package explain

import (
	"slices"
	"testing"
)

// The 71 messages of the field study behind this room (reference/trt-ep.md §2), by
// the words that its list gives for each, shorter than any real log: each is known
// by them.
func TestTheListOfTheFieldStudy(t *testing.T) {
	n := 0
	for _, row := range []struct {
		row  int
		text string
		id   string
	}{
		{1, "TensorRT EP failed to call nvinfer1::IExecutionContext::setInputShape() for input 'x'", "ort-set-input-shape"},
		{2, "User needs to provide all the dynamic shape inputs with associated profiles Following input(s) has no associated shape profiles provided: a,b", "ort-missing-profiles"},
		{3, "The format of provider option 'trt_profile_opt_shapes' is wrong", "ort-profile-format"},
		{4, "Profile shapes validation failed", "ort-profile-validation"},
		{4, "TRT EP will implicitly create optimization profiles based on input tensor for you", "ort-implicit-profiles"},
		{5, "Number of optimization profiles should be greater than 0, but it's 0.", "ort-zero-profiles"},
		{6, "TensorRT EP could not deserialize engine from cache: P", "ort-engine-deserialize"},
		{7, "TensorRT EP failed to create engine from network for fused node: n", "ort-create-engine"},
		{8, "TensorRT EP can't find engine cache: P. Please make sure engine cache is in the same directory or sub-directory of context model.", "ort-engine-missing"},
		{9, "TensorRT EP execution context enqueue failed.", "ort-enqueue"},
		{10, "Failed to read INT8 calibration table P", "ort-calibration-read"},
		{11, "This is not a TensorRT generated calibration table", "ort-calibration-format"},
		{12, "could not set INT8 dynamic range for fused node: n", "ort-dynamic-range"},
		{13, "TensorRT input: X has no shape specified. Please run shape inference", "ort-no-shape"},
		{14, "No graph will run on TensorRT execution provider", "ort-no-graph"},
		{14, "Graph is partitioned and number of subgraphs running on TensorRT execution provider is 2", "ort-partitioned"},
		{15, "TensorRT EP was compiled for TensorRT version >= 11.0 - precision flags have been removed", "ort-trt11-flags"},
		{16, "ORT_TENSORRT_FP16_ENABLE or ORT_TENSORRT_BF16_ENABLE is set, but platform doesn't support fast native fp16/bf16", "ort-precision-platform"},
		{16, "ORT_TENSORRT_INT8_ENABLE is set, but platform doesn't support fast native int8", "ort-precision-platform"},
		{17, "Could not read timing cache from: P. A new timing cache will be generated", "timing-cache-invalid"},
		{17, "TensorRT EP could not create timing cache: P", "ort-timing-cache"},
		{18, "Engine hardware compatibility cannot be enabled as GPU arch < 80. ", "ort-hw-compatible"},
		{19, "the trt_engine_cache_path should be set with a relative path, but it is an absolute path:  /x", "ort-context-path"},
		{20, "The compute capability of the engine: 80", "ort-compute-capability"},
		{21, "TensorRT EP's IParserRefitter could not refit deserialized weight-stripped engine", "ort-refit"},
		{22, "The data type of shape tensor should be INT32 or INT64", "ort-shape-tensor-type"},
		{23, "failed to parse input tensor and generate optimization profiles.", "ort-implicit-failed"},
		{24, "Failed to load library libonnxruntime_providers_tensorrt.so with error: libnvinfer.so.10: cannot open shared object file", "library-missing"},
		{25, "only supports RTX devices with compute capabilities 86, 89, 120 and above", "rtx-gpu-unsupported"},
		{25, "EP does not support GPU with Compute Capability 9.0", "rtx-gpu-unsupported"},
		{26, "EP select an optimization profile for the current context failed", "rtx-select-profile"},
		{26, "Failed to parse profile index: x", "rtx-select-profile"},
		{27, "No explicit optimization profile was specified. We will assume a single profile with fully dynamic range", "rtx-no-profile"},
		{28, "Optimization profile could not be applied for tensor: x", "rtx-profile-apply"},
		{29, "Engine incompatible with this system (diagnostics: 0x20)", "rtx-engine-incompatible"},
		{30, "Invalid nv_target_sm value", "rtx-target-sm"},
		{30, "inference is not available in a compile-only session", "rtx-compile-only"},
		{31, "condition: satisfyProfile. Set dimension [4,27] for tensor X does not satisfy any optimization profiles. Valid range for profile 0: [1,8]..[4,24].", "shape-outside-profile"},
		{32, "satisfyProfile Runtime dimension does not satisfy any optimization profile.", "shape-outside-profile-unnamed"},
		{33, "condition: profileMaxDims.d[i] >= dimensions.d[i]. Supplied binding dimension [4,27] for bindings[0] exceed min ~ max range at index 0, maximum dimension in profile is 1, minimum dimension in profile is 1, but supplied dimension is 4", "binding-outside-profile"},
		{34, "condition: engineDims.d[i] == dims.d[i]. Static dimension mismatch while setting input shape for X. Set dimensions are [4,27]. Expected dimensions are [1,-1]", "shape-static-mismatch"},
		{35, "condition: inputDimensionSpecified && inputShapesSpecified. Not all shapes are specified. Following input tensors' dimensions are not specified: X", "shapes-not-specified"},
		{36, "Profile 0 has been chosen by another IExecutionContext", "profile-in-use"},
		{37, "The engine contains 7 profiles. x only returns results for profile 0", "profile-0-results"},
		{38, "Network has dynamic or shape inputs, but no optimization profile has been defined.", "no-profile"},
		{39, "X: dynamic input is missing dimensions in profile 0.", "profile-missing-input"},
		{40, "x: number of dimensions is 3 but profile 0 has 2", "profile-rank"},
		{41, "x: for dimension number 1 in profile 0 does not match network definition (got min=1,opt=2,max=3), expected min=opt=max=4)", "profile-static-dim"},
		{42, "Specified optimization profiles must satisfy MIN<=OPT<=MAX.", "profile-min-opt-max"},
		{43, "X: optimization profile is missing values for shape input", "profile-shape-values"},
		{44, "kMIN values for profile 1 violate shape constraints: condition '==' violated", "profile-contradicts"},
		{45, "Min value of this profile is not valid", "profile-end-invalid"},
		{46, "Could not find any implementation for node {ForeignNode[a...b]}", "no-implementation"},
		{46, "Skipping tactic 1 due to insufficient memory on requested size of 2", "skipping-tactic"},
		{46, "Some tactics do not have sufficient workspace memory to run.", "workspace-short"},
		{47, "Myelin graph with multiple dynamic values may have poor performance", "myelin-dynamic"},
		{48, "No importer registered for op: MultiHeadAttention", "no-importer"},
		{48, "Plugin not found, are the plugin name, version, and namespace correct?", "plugin-not-found"},
		{49, "Node has more output tensors than TRT expected", "more-outputs"},
		{50, "Your ONNX model has been generated with INT64 weights, while TensorRT does not natively support INT64", "int64-weights"},
		{50, "One or more weights outside the range of INT32 was clamped", "weights-clamped"},
		{51, "Calibrator is not being used. Users must provide dynamic range for all tensors", "calibrator-not-used"},
		{52, "Missing scale and zero-point for tensor X, expect fall back to non-int8 implementation", "missing-scale"},
		{53, "Calibration failure occurred with no scaling factors detected", "calibration-no-factors"},
		{54, "TensorRT does not currently support using dynamic shapes during calibration. The OPT shapes", "polygraphy-calibration-shapes"},
		{55, "condition: !config.getFlag(BuilderFlag::kFP16)", "strongly-typed-flag"},
		{56, "Detected layernorm nodes in FP16", "layernorm-fp16"},
		{56, "Running layernorm after self-attention in FP16 may cause overflow", "layernorm-fp16"},
		{57, "engine plan file is not compatible with this version of TensorRT, expecting library version 10.3.0 got 10.0.1, please rebuild.", "engine-version"},
		{58, "engine plan file is generated on an incompatible device, expecting compute 8.6 got compute 7.5", "engine-device"},
		{59, "stdVersionRead == kSERIALIZATION_VERSION failed. Version tag does not match. Note: Current Version: 237, Serialized Engine Version: 239", "engine-serialization"},
		{60, "Magic tag does not match", "engine-magic"},
		{61, "Using an engine plan file across different models of devices is not recommended", "engine-other-model"},
		{62, "Detected invalid timing cache, setup a local cache instead", "timing-cache-invalid"},
		{63, `Cannot find input tensor with name "X" in the network inputs!`, "trtexec-unknown-input"},
		{64, "Dynamic dimensions required for input: X, but no shapes were provided. Automatically overriding shape to: 1x1", "trtexec-auto-shape"},
		{65, "Static model does not take explicit shapes since", "trtexec-static-model"},
		{66, "The engine was built with static shapes for input tensor X but the provided shapes do not match", "trtexec-static-shapes"},
		{67, "Required optimization profile is invalid", "trtexec-invalid-profile"},
		{67, "Error in set dimensions to profile OPT", "trtexec-invalid-profile"},
		{68, "Selected profile index 3 exceeds the number of profiles", "trtexec-profile-index"},
		{69, "5 profiles detected but not set. Running with profile 0. Please use", "trtexec-profile-not-set"},
		{70, "Multiple --minShapes/--optShapes/--maxShapes without --profile are not allowed.", "trtexec-several-shapes"},
		{71, "Engine could not be created from network", "engine-not-built"},
		{71, "Building engine failed", "engine-not-built"},
	} {
		r := explained(t, row.text, Context{})
		if !slices.ContainsFunc(r.Findings, func(f *Finding) bool { return f.ID == row.id }) {
			t.Errorf("row %d: %s is not %s: %v", row.row, row.text, row.id, r.Findings)
		}
		if row.row != n && row.row != n+1 {
			t.Errorf("row %d comes after %d", row.row, n)
		}
		n = row.row
	}
	if n != 71 {
		t.Errorf("%d rows", n)
	}
}
