package pack

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// since is the parameters that Triton's TensorRT accelerator takes, by the release
// that first took them. They are not the EP's own names, and one that a release
// does not know stops the load: "unknown parameter ... is provided for TensorRT
// Execution Accelerator". Read from src/onnxruntime.cc of each release branch of
// triton-inference-server/onnxruntime_backend.
var since = map[string][]string{
	"21.06": {"max_workspace_size_bytes", "precision_mode"},
	"21.09": {"int8_calibration_table_name", "int8_use_native_calibration_table", "trt_engine_cache_enable", "trt_engine_cache_path"},
	"24.04": {
		"trt_auxiliary_streams", "trt_build_heuristics_enable", "trt_builder_optimization_level", "trt_context_memory_sharing_enable",
		"trt_cuda_graph_enable", "trt_detailed_build_log", "trt_dla_core", "trt_dla_enable", "trt_dump_ep_context_model", "trt_dump_subgraphs",
		"trt_engine_cache_prefix", "trt_ep_context_embed_mode", "trt_ep_context_file_path", "trt_extra_plugin_lib_paths",
		"trt_force_sequential_engine_build", "trt_force_timing_cache", "trt_layer_norm_fp32_fallback", "trt_max_partition_iterations",
		"trt_min_subgraph_size", "trt_profile_max_shapes", "trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_sparsity_enable",
		"trt_tactic_sources", "trt_timing_cache_enable", "trt_timing_cache_path",
	},
}

// Explicit is the first release whose accelerator takes profiles. Without them an
// engine is built again at every new length.
const Explicit = "24.04"

// Keys are the parameters that a release takes ("24.08"), sorted. What is no
// release is an error of class usage.
func Keys(release string) ([]string, error) {
	at, err := number(release)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, first := range slices.Sorted(maps.Keys(since)) {
		if n, _ := number(first); n <= at { // they are well written
			all = append(all, since[first]...)
		}
	}
	slices.Sort(all)
	return all, nil
}

// number orders releases: year times 100 plus month.
func number(release string) (int, error) {
	year, month, ok := strings.Cut(release, ".")
	y, err1 := strconv.Atoi(year)
	m, err2 := strconv.Atoi(month)
	if !ok || err1 != nil || err2 != nil || y < 18 || y > 99 || m < 1 || m > 12 {
		return 0, fault.New(fault.Usage, "", "", fmt.Sprintf("%q is no release of Triton", release), "write year and month, for instance 24.08")
	}
	return 100*y + m, nil
}

// takes refuses parameters that a release does not know, all at once.
func takes(release string, parameters map[string]string) error {
	known, err := Keys(release)
	if err != nil {
		return err
	}
	var unknown []string
	for _, k := range slices.Sorted(maps.Keys(parameters)) {
		if !slices.Contains(known, k) {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	return fault.New(fault.Usage, "writing", "config.pbtxt", fmt.Sprintf("Triton %s does not know %s, and would not load the model", release, strings.Join(unknown, ", ")),
		"serve with Triton "+Explicit+" or later")
}
