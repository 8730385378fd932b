//go:build cgo && linux

package doctor

import (
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
	"github.com/google/go-cmp/cmp"
)

func TestReadGPUs(t *testing.T) {
	device := &mock.Device{
		GetNameFunc:                  func() (string, nvml.Return) { return "NVIDIA L4", nvml.SUCCESS },
		GetCudaComputeCapabilityFunc: func() (int, int, nvml.Return) { return 8, 9, nvml.SUCCESS },
		GetMemoryInfoFunc:            func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_NOT_SUPPORTED },
	}
	lib := &mock.Interface{
		SystemGetDriverVersionFunc:     func() (string, nvml.Return) { return "570.1", nvml.SUCCESS },
		SystemGetCudaDriverVersionFunc: func() (int, nvml.Return) { return 12080, nvml.SUCCESS },
		DeviceGetCountFunc:             func() (int, nvml.Return) { return 2, nvml.SUCCESS },
		DeviceGetHandleByIndexFunc: func(i int) (nvml.Device, nvml.Return) {
			if i == 1 {
				return nil, nvml.ERROR_GPU_IS_LOST
			}
			return device, nvml.SUCCESS
		},
	}
	driver, got, err := readGPUs(lib)
	want := []GPU{{Name: "NVIDIA L4", Compute: "8.9", Driver: "570.1", CUDA: "12.8"}}
	if diff := cmp.Diff(want, got); diff != "" || driver != "570.1" || err != nil {
		t.Errorf("driver %q, error %v, GPUs (-want +got):\n%s", driver, err, diff)
	}
}
