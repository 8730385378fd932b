//go:build cgo && linux

package doctor

import (
	"errors"
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

const builtWithCgo = true

// gpus asks the driver's management library, which go-nvml opens only now: a
// machine without one gets an error, not a crash.
func gpus() (driver string, found []GPU, err error) {
	lib := nvml.New()
	if ret := lib.Init(); ret != nvml.SUCCESS {
		return "", nil, explainNVML(lib, ret)
	}
	defer func() { _ = lib.Shutdown() }()
	return readGPUs(lib)
}

func explainNVML(lib nvml.Interface, ret nvml.Return) error {
	if ret == nvml.ERROR_LIBRARY_NOT_FOUND {
		return errors.New("libnvidia-ml.so.1 is not here: no NVIDIA driver")
	}
	return errors.New("NVML: " + lib.ErrorString(ret))
}

// readGPUs reads what can be read: an attribute that a driver withholds stays
// empty.
func readGPUs(lib nvml.Interface) (driver string, found []GPU, err error) {
	driver, _ = lib.SystemGetDriverVersion()
	cuda := ""
	if v, ret := lib.SystemGetCudaDriverVersion(); ret == nvml.SUCCESS {
		cuda = fmt.Sprintf("%d.%d", v/1000, v%1000/10)
	}
	n, ret := lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return driver, nil, explainNVML(lib, ret)
	}
	for i := range n {
		device, ret := lib.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS {
			continue
		}
		g := GPU{Driver: driver, CUDA: cuda}
		g.Name, _ = device.GetName()
		if major, minor, ret := device.GetCudaComputeCapability(); ret == nvml.SUCCESS {
			g.Compute = fmt.Sprintf("%d.%d", major, minor)
		}
		if memory, ret := device.GetMemoryInfo(); ret == nvml.SUCCESS {
			g.MemoryBytes = memory.Total
		}
		found = append(found, g)
	}
	return driver, found, nil
}
