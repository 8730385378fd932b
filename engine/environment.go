package engine

import (
	"slices"
	"strings"
)

// deciding are variables that decide what a session of ONNX Runtime leaves open:
// options of its TensorRT EP, by name or by how they begin.
var deciding = []string{"ORT_TENSORRT_", "ORT_DUMP_EP_CONTEXT_MODEL", "ORT_EP_CONTEXT_EMBED_MODE", "ORT_EP_CONTEXT_FILE_PATH"}

// tf32Variable switches TF32 in cuBLAS, cuDNN and TensorRT: 0 is off, whatever a
// program asks. The TensorRT EP has no option for it.
const tf32Variable = "NVIDIA_TF32_OVERRIDE"

// GPUEnvironment is what is added to a child's environment so that this one decides
// nothing: deciding variables are made empty, which the provider takes for unset,
// and TF32 is off unless it is asked for.
func GPUEnvironment(environ []string, tf32 bool) []string {
	var add []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if slices.ContainsFunc(deciding, func(d string) bool { return strings.HasPrefix(name, d) }) {
			add = append(add, name+"=")
		}
	}
	slices.Sort(add)
	switch {
	case !tf32:
		add = append(add, tf32Variable+"=0")
	case slices.ContainsFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, tf32Variable+"=") }):
		add = append(add, tf32Variable+"=1") // unset is on, too, but a child cannot be made to forget it
	}
	return add
}
