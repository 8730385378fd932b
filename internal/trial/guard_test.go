package trial

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/jobs"
)

// machineFiles are what a machine tells: ticks that others, the hypervisor and this
// process took, and what its counters say.
func machineFiles(other, steal, mine, quota, heat int) fstest.MapFS {
	file := func(format string, args ...any) *fstest.MapFile {
		return &fstest.MapFile{Data: fmt.Appendf(nil, format, args...)}
	}
	return fstest.MapFS{
		"proc/stat":               file("cpu  %d 0 0 %d 0 0 0 %d 0 0\ncpu0 1 2 3\n", other+mine, 1000-other-mine-steal, steal),
		"proc/self/stat":          file("7 (a) b) R 1 7 7 0 -1 4 0 0 0 0 %d 0 0 0 20 0 1 0 5 0 0\n", mine),
		"proc/self/cgroup":        file("1:memory:/x\n0::/job\n"),
		"sys/fs/cgroup/job/other": file(""),
		"sys/fs/cgroup/cpu.stat":  file("nr_periods 10\nnr_throttled %d\n", quota),
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": file("%d\n", heat),
	}
}

func TestGuardSaysWhatHappened(t *testing.T) {
	zero := machineFiles(0, 0, 0, 4, 2)
	for name, c := range map[string]struct {
		after fstest.MapFS
		want  []string
	}{
		"nothing":         {machineFiles(50, 10, 900, 4, 2), nil},
		"the quota":       {machineFiles(0, 0, 900, 5, 2), []string{heldBack}},
		"heat":            {machineFiles(0, 0, 900, 4, 3), []string{tooHot}},
		"the hypervisor":  {machineFiles(0, 40, 900, 4, 2), []string{stolen}},
		"other processes": {machineFiles(150, 0, 800, 4, 2), []string{crowded}},
	} {
		// All counters are of one machine: only the kernel's sum must have moved on.
		before := machineFiles(0, 0, 0, 4, 2)
		before["proc/stat"] = &fstest.MapFile{Data: []byte("cpu 0 0 0 0 0 0 0 0 0 0\n")}
		g := guard{files: before}
		w := g.begin(System{})
		w.g.files = c.after
		r := &jobs.BenchResult{Samples: []bench.Sample{{}, {}}}
		w.end(r)
		for _, s := range r.Samples {
			if !slices.Equal(s.Warnings, c.want) {
				t.Errorf("%s: %v, want %v", name, s.Warnings, c.want)
			}
		}
	}
	// A machine that tells nothing is not suspected.
	w := guard{files: fstest.MapFS{}}.begin(System{})
	w.g.files = zero
	r := &jobs.BenchResult{Samples: make([]bench.Sample, 1)}
	w.end(r)
	if len(r.Samples[0].Warnings) > 2 {
		t.Errorf("warnings %v", r.Samples[0].Warnings)
	}
}

func TestGuardOfAGPU(t *testing.T) {
	use := doctor.GPUUse{Readings: 3, MemoryBytes: 1 << 30, PowerW: 60, SMClockMHz: 1400, Throttled: []string{"power cap"}}
	g := guard{files: fstest.MapFS{}, gpu: func(func(int) bool) (func() doctor.GPUUse, error) {
		return func() doctor.GPUUse { return use }, nil
	}}
	r := &jobs.BenchResult{Samples: make([]bench.Sample, 1)}
	g.begin(System{GPU: true}).end(r)
	if s := r.Samples[0]; s.DeviceMemory != 1<<30 || s.Power != 60 || s.Clock != 1400 || !slices.Equal(s.Warnings, []string{clockDown + "power cap"}) {
		t.Errorf("%+v", s)
	}
	g.gpu = func(func(int) bool) (func() doctor.GPUUse, error) { return nil, errors.New("no driver") }
	if w := g.begin(System{GPU: true}); w.blind != "no driver" {
		t.Errorf("why nothing is known: %q", w.blind)
	}
	r = &jobs.BenchResult{Samples: make([]bench.Sample, 1)}
	if s := r.Samples[0]; s.DeviceMemory != 0 {
		t.Errorf("without a driver: %+v", s)
	}
}

func TestMachineOfFiles(t *testing.T) {
	g := guard{files: fstest.MapFS{
		"proc/cpuinfo":              {Data: []byte("processor : 0\nmodel name\t: Fast CPU\nflags : fpu hypervisor avx2\n")},
		"proc/loadavg":              {Data: []byte("3.50 2.00 1.00 1/2 3\n")},
		"proc/sys/kernel/osrelease": {Data: []byte("6.1.0\n")},
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": {Data: []byte("powersave\n")},
		"sys/devices/system/cpu/intel_pstate/no_turbo":         {Data: []byte("0\n")},
	}}
	m := g.machine()
	if m.CPU != "Fast CPU" || m.Virtual != "hypervisor" || m.Load != 3.5 || m.Kernel != "6.1.0" || m.Governor != "powersave" || m.Turbo != "on" {
		t.Errorf("%+v", m)
	}
	m.Cores, m.Threads = 4, 8
	if got := suspicions(m); len(got) != 4 {
		t.Errorf("suspicions %v", got)
	}
	if this := Machine("trtforge test", 0, nil); this.CPU == "" || this.Threads < 1 || (this.GPU == "") != (this.NoGPU != "") {
		t.Errorf("this machine is %+v", this)
	}
}

// A core that is slower than it was is doubted, and one that gets faster is not.
func TestGuardKnowsTheBestPace(t *testing.T) {
	took := []time.Duration{100, 105, 90, 99, 101}
	p := &pacer{best: 100, run: func() time.Duration {
		now := took[0]
		took = took[1:]
		return now
	}}
	var slow []bool
	for range 5 {
		slow = append(slow, p.slow())
	}
	if !slices.Equal(slow, []bool{false, false, false, false, true}) { // 90 of 101 is less than 0.9
		t.Errorf("slow after %v", slow)
	}
	r := &jobs.BenchResult{Samples: []bench.Sample{{}}}
	guard{files: fstest.MapFS{}, pace: &pacer{best: 50, run: func() time.Duration { return 100 }}}.begin(System{}).end(r)
	if !slices.Equal(r.Samples[0].Warnings, []string{slowed}) {
		t.Errorf("half the pace: %v", r.Samples[0].Warnings)
	}
	if chain() <= 0 {
		t.Error("products take no time")
	}
}
