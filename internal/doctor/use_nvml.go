//go:build cgo && linux

package doctor

import (
	"math/bits"
	"slices"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// readEvery is how often a GPU is asked: NVML's own power figure is a mean of
// about as long.
const readEvery = 100 * time.Millisecond

// WatchGPU asks the first GPU again and again what it does, until stop, which gives
// what it did. Memory is that of the processes for which mine is true. Without a
// driver or a GPU it is an error that says so.
func WatchGPU(mine func(pid int) bool) (stop func() GPUUse, err error) {
	lib := nvml.New()
	if ret := lib.Init(); ret != nvml.SUCCESS {
		return nil, explainNVML(lib, ret)
	}
	device, ret := lib.DeviceGetHandleByIndex(0)
	if ret != nvml.SUCCESS {
		_ = lib.Shutdown()
		return nil, explainNVML(lib, ret)
	}
	ticker := time.NewTicker(readEvery)
	has := func(symbol string) bool { return lib.Extensions().LookupSymbol(symbol) == nil }
	end := watchDevice(device, mine, has, ticker.C)
	return func() GPUUse {
		ticker.Stop()
		defer func() { _ = lib.Shutdown() }()
		return end()
	}, nil
}

// watchDevice reads the device at once, with each tick, and when it is stopped. What an
// old driver's library has not must not be called: the loader would end the process.
func watchDevice(device nvml.Device, mine func(pid int) bool, has func(symbol string) bool, tick <-chan time.Time) (stop func() GPUUse) {
	quit, done := make(chan struct{}), make(chan GPUUse)
	go func() {
		r := reading{device: device, mine: mine, has: has}
		for {
			r.take()
			select {
			case <-tick:
			case <-quit:
				r.take()
				done <- r.use()
				return
			}
		}
	}()
	return func() GPUUse {
		close(quit)
		return <-done
	}
}

// reading adds up what a device says. What it withholds stays 0.
type reading struct {
	device         nvml.Device
	mine           func(pid int) bool
	has            func(symbol string) bool // whether the driver's library has a function
	n              int
	memory         uint64
	power, clock   float64
	powers, clocks int
	reasons        uint64
}

func (r *reading) take() {
	r.n++
	if r.has("nvmlDeviceGetPowerUsage") {
		if mw, ret := r.device.GetPowerUsage(); ret == nvml.SUCCESS {
			r.power += float64(mw) / 1000
			r.powers++
		}
	}
	if r.has("nvmlDeviceGetClockInfo") {
		if mhz, ret := r.device.GetClockInfo(nvml.CLOCK_SM); ret == nvml.SUCCESS {
			r.clock += float64(mhz)
			r.clocks++
		}
	}
	if r.has("nvmlDeviceGetCurrentClocksEventReasons") { // since driver 535
		if reasons, ret := r.device.GetCurrentClocksEventReasons(); ret == nvml.SUCCESS {
			r.reasons |= reasons
		}
	}
	if !r.has("nvmlDeviceGetComputeRunningProcesses") {
		return
	}
	processes, ret := r.device.GetComputeRunningProcesses()
	if ret != nvml.SUCCESS {
		return
	}
	var sum uint64
	for _, p := range processes {
		// A driver that may not tell says all ones.
		if r.mine(int(p.Pid)) && p.UsedGpuMemory != ^uint64(0) {
			sum += p.UsedGpuMemory
		}
	}
	r.memory = max(r.memory, sum)
}

func (r *reading) use() GPUUse {
	return GPUUse{Readings: r.n, MemoryBytes: r.memory, PowerW: r.power / float64(max(r.powers, 1)), SMClockMHz: r.clock / float64(max(r.clocks, 1)),
		Throttled: throttles(r.reasons)}
}

// throttles are the words for the reasons that make a figure doubtful. An idle GPU
// and clocks that the user set are none.
func throttles(reasons uint64) []string {
	words := map[uint64]string{
		nvml.ClocksEventReasonSwPowerCap:              "power cap",
		nvml.ClocksThrottleReasonHwSlowdown:           "hardware slowdown",
		nvml.ClocksEventReasonSwThermalSlowdown:       "temperature",
		nvml.ClocksThrottleReasonHwThermalSlowdown:    "temperature, by hardware",
		nvml.ClocksThrottleReasonHwPowerBrakeSlowdown: "power brake",
	}
	var all []string
	for ; reasons != 0; reasons &= reasons - 1 {
		if word, known := words[1<<bits.TrailingZeros64(reasons)]; known {
			all = append(all, word)
		}
	}
	slices.Sort(all)
	return all
}
