package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironmentDecidesNothing(t *testing.T) {
	dirty := []string{"HOME=/root", "ORT_TENSORRT_FP16_ENABLE=1", "ORT_TENSORRT_CACHE_PATH=/tmp", "ORT_DUMP_EP_CONTEXT_MODEL=1", "NVIDIA_TF32_OVERRIDE=1", "CUDA_VISIBLE_DEVICES=0"}
	if d := cmp.Diff([]string{"ORT_DUMP_EP_CONTEXT_MODEL=", "ORT_TENSORRT_CACHE_PATH=", "ORT_TENSORRT_FP16_ENABLE=", "NVIDIA_TF32_OVERRIDE=0"}, GPUEnvironment(dirty, false)); d != "" {
		t.Error(d)
	}
	if add := GPUEnvironment(nil, true); len(add) > 0 {
		t.Errorf("a clean environment gets %v", add)
	}
	if d := cmp.Diff([]string{"NVIDIA_TF32_OVERRIDE=1"}, GPUEnvironment([]string{"NVIDIA_TF32_OVERRIDE=0"}, true)); d != "" {
		t.Error(d)
	}
}
