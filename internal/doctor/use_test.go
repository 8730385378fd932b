//go:build cgo && linux

package doctor

import (
	"slices"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
)

// A GPU's memory is that of the processes asked about at its most, power and clock
// are means, and only reasons that spoil a figure are told.
func TestWatchDevice(t *testing.T) {
	turn := 0
	device := &mock.Device{
		GetPowerUsageFunc: func() (uint32, nvml.Return) { turn++; return uint32(40_000 + 10_000*turn), nvml.SUCCESS },
		GetClockInfoFunc:  func(nvml.ClockType) (uint32, nvml.Return) { return 1500, nvml.SUCCESS },
		GetCurrentClocksEventReasonsFunc: func() (uint64, nvml.Return) {
			return nvml.ClocksEventReasonGpuIdle | nvml.ClocksEventReasonSwPowerCap | nvml.ClocksEventReasonSwThermalSlowdown, nvml.SUCCESS
		},
		GetComputeRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) {
			used := map[int]uint64{1: 100, 2: 900, 3: 200}
			return []nvml.ProcessInfo{{Pid: 7, UsedGpuMemory: used[turn]}, {Pid: 8, UsedGpuMemory: 1 << 40}, {Pid: 9, UsedGpuMemory: ^uint64(0)}}, nvml.SUCCESS
		},
	}
	tick := make(chan time.Time)
	stop := watchDevice(device, func(pid int) bool { return pid == 7 || pid == 9 }, func(string) bool { return true }, tick)
	tick <- time.Now()
	use := stop()
	if use.Readings != 3 || use.MemoryBytes != 900 || use.PowerW != 60 || use.SMClockMHz != 1500 || !slices.Equal(use.Throttled, []string{"power cap", "temperature"}) {
		t.Errorf("%+v", use)
	}
}

// What a driver withholds is 0, not a failure.
func TestWatchDeviceThatTellsNothing(t *testing.T) {
	no := nvml.ERROR_NOT_SUPPORTED
	device := &mock.Device{
		GetPowerUsageFunc:                func() (uint32, nvml.Return) { return 0, no },
		GetClockInfoFunc:                 func(nvml.ClockType) (uint32, nvml.Return) { return 0, no },
		GetCurrentClocksEventReasonsFunc: func() (uint64, nvml.Return) { return 0, no },
		GetComputeRunningProcessesFunc:   func() ([]nvml.ProcessInfo, nvml.Return) { return nil, no },
	}
	// What it has not at all is not called: a mock without functions panics.
	if use := watchDevice(&mock.Device{}, func(int) bool { return true }, func(string) bool { return false }, nil)(); use.Readings == 0 || use.PowerW != 0 {
		t.Errorf("%+v", use)
	}
	if use := watchDevice(device, func(int) bool { return true }, func(string) bool { return true }, nil)(); use.PowerW != 0 || use.MemoryBytes != 0 || use.SMClockMHz != 0 || len(use.Throttled) != 0 {
		t.Errorf("%+v", use)
	}
}

// On a machine without a driver the sampler says so, as the look at GPUs does.
func TestWatchGPUWithoutADriver(t *testing.T) {
	_, _, err := gpus()
	if err == nil {
		t.Skip("this machine has a GPU")
	}
	if _, watch := WatchGPU(nil); watch == nil || watch.Error() != err.Error() {
		t.Errorf("%v, want %v", watch, err)
	}
}
