package explain

import (
	"cmp"
	"maps"
	"slices"
)

// The tools whose output is told apart, by the names that patterns use.
const (
	ORT        = "onnxruntime"
	ORTRTX     = "onnxruntime-rtx" // ONNX Runtime's TensorRT-RTX provider
	TensorRT   = "tensorrt"
	RTX        = "tensorrt-rtx"
	Trtexec    = "trtexec"
	Polygraphy = "polygraphy"
	Triton     = "triton"
	TRTLLM     = "tensorrt-llm"
	TorchTRT   = "torch-tensorrt"
)

// marks are texts that show which tool wrote a line, or that it looks like an
// error.
var marks = []struct {
	text    string
	tool    string
	suspect bool
}{
	{text: "onnxruntime", tool: ORT},
	{text: "[E:onnxruntime", tool: ORT, suspect: true},
	{text: "[F:onnxruntime", tool: ORT, suspect: true},
	{text: "[ONNXRuntimeError]", tool: ORT, suspect: true},
	{text: "TensorrtExecutionProvider", tool: ORT},
	{text: "TensorRT EP", tool: ORT},
	{text: "NvTensorRTRTX", tool: ORTRTX},
	{text: "NvTensorRtRtx", tool: ORTRTX},
	{text: "nv_tensorrt_rtx", tool: ORTRTX},
	{text: "TensorRT-RTX", tool: RTX},
	{text: "tensorrt_rtx", tool: RTX},
	{text: "[TRT] [", tool: TensorRT},
	{text: "[TensorRT]", tool: TensorRT},
	{text: "TensorRT.trtexec", tool: Trtexec},
	{text: "trtexec", tool: Trtexec},
	{text: "polygraphy", tool: Polygraphy},
	{text: "trt-runner-", tool: Polygraphy},
	{text: "onnxrt-runner-", tool: Polygraphy},
	{text: "tritonserver", tool: Triton},
	{text: "TRITONBACKEND", tool: Triton},
	{text: "model_lifecycle.cc", tool: Triton},
	{text: "model_repository_manager.cc", tool: Triton},
	{text: "[TensorRT-LLM]", tool: TRTLLM},
	{text: "tensorrt_llm", tool: TRTLLM},
	{text: "torch_tensorrt", tool: TorchTRT},
	{text: "Torch-TensorRT", tool: TorchTRT},

	{text: "[E] ", suspect: true},
	{text: "[F] ", suspect: true},
	{text: "[!] ", suspect: true},
	{text: "[ERROR]", suspect: true},
	{text: "[FATAL]", suspect: true},
	{text: "[error]", suspect: true},
	{text: "ERROR:", suspect: true},
	{text: "Error Code ", suspect: true},
	{text: "Error[", suspect: true},
	{text: "Error: ", suspect: true},
	{text: "Exception: ", suspect: true},
	{text: "terminate called", suspect: true},
	{text: "what():", suspect: true},
	{text: "Segmentation fault", suspect: true},
	{text: "core dumped", suspect: true},
	{text: "&&&& FAILED", suspect: true},
	{text: "fatal error", suspect: true},
	{text: "CUDA error", suspect: true},
	{text: "cudaError", suspect: true},
}

// glogError tells an error of glog, as Triton writes it: E0102 15:04:05.
func glogError(b []byte) bool {
	if len(b) < 7 || b[0] != 'E' && b[0] != 'F' || b[5] != ' ' {
		return false
	}
	for _, c := range b[1:5] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// ranked is the names by falling count.
func ranked(counts map[string]int) []string {
	names := slices.Sorted(maps.Keys(counts))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	return names
}
