package ort

import (
	"os"
	"slices"
	"strings"
)

// kernels are the CPU features by which ONNX Runtime's CPU kernels, and with
// them its optimised graphs and the speed and saturation of INT8, differ.
var kernels = []string{"avx", "avx2", "f16c", "fma", "avx512f", "avx512vl", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16", "avx512_fp16"}

// CPU lists those features of this machine, "avx avx2 f16c fma", in an order
// that never changes; "unknown" where the kernel does not tell.
func CPU() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	return features(string(text))
}

// features reads the flags of the first processor.
func features(cpuinfo string) string {
	for _, line := range strings.Split(cpuinfo, "\n") {
		key, flags, found := strings.Cut(line, ":")
		if !found || strings.TrimSpace(key) != "flags" {
			continue
		}
		have := strings.Fields(flags)
		var mine []string
		for _, k := range kernels {
			if slices.Contains(have, k) {
				mine = append(mine, k)
			}
		}
		return strings.Join(mine, " ")
	}
	return "unknown"
}
