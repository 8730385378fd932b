package trial

import (
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/doctor"
	"github.com/trtforge/trtforge/internal/jobs"
)

// What the guard says of a turn. The words do not vary, so that samples which say
// the same are counted together.
const (
	heldBack  = "the cgroup's quota held the CPU back"
	tooHot    = "the CPU was throttled for its temperature"
	stolen    = "the hypervisor took more than 2 % of the CPU away"
	crowded   = "other processes used more than 10 % of the CPU"
	slowed    = "the CPU ran more than 10 % slower than at its best"
	clockDown = "the GPU lowered its clock: "
)

// The shares of the CPU's time from which on a turn is doubted.
const (
	stealLimit = 0.02
	otherLimit = 0.10
)

// leastTicks is the time of all CPUs, in hundredths of a second, below which ticks
// are too coarse to tell shares.
const leastTicks = 100

// guard watches what happens to the machine while a system has its turn.
type guard struct {
	files fs.FS // the root directory
	gpu   func(mine func(pid int) bool) (stop func() doctor.GPUUse, err error)
	pace  *pacer // nil asks nobody
}

func newGuard() guard {
	return guard{files: root, gpu: doctor.WatchGPU}
}

// counters are what the kernel counts, at one moment.
type counters struct {
	quota        int64 // periods in which the cgroup's quota was used up
	heat         int64 // times that a core was throttled
	busy, steal  int64 // of all CPUs, in ticks
	all          int64 // idle time among it
	mine         int64 // of the system's process and this one, in ticks
	known, whose bool  // whether /proc tells of all CPUs and of the process
}

// watch is a turn that is watched.
type watch struct {
	g      guard
	pid    func() int
	before counters
	stop   func() doctor.GPUUse
	blind  string // why nothing is known of the GPU; "" where it is, or nobody asked
}

// begin notes what the counters say before a turn.
func (g guard) begin(s System) *watch {
	w := &watch{g: g, pid: func() int { return 0 }}
	if p, ok := s.Caller.(process); ok {
		w.pid = p.PID
	}
	if s.GPU && g.gpu != nil {
		var err error
		if w.stop, err = g.gpu(func(pid int) bool { return pid == w.pid() }); err != nil {
			w.blind = err.Error()
		}
	}
	w.before = g.read(w.pid())
	return w
}

// end puts what happened meanwhile on the samples of the turn; nil for none.
func (w *watch) end(r *jobs.BenchResult) {
	var use doctor.GPUUse
	if w.stop != nil {
		use = w.stop()
	}
	doubts := w.before.doubts(w.g.read(w.pid()))
	if w.g.pace.slow() {
		doubts = append(doubts, slowed)
	}
	for _, reason := range use.Throttled {
		doubts = append(doubts, clockDown+reason)
	}
	if r == nil {
		return
	}
	for i := range r.Samples {
		s := &r.Samples[i]
		s.Warnings = append(s.Warnings, doubts...)
		if use.Readings > 0 {
			s.DeviceMemory, s.Power, s.Clock = int64(use.MemoryBytes), use.PowerW, use.SMClockMHz
		}
	}
}

// doubts are what the difference of two readings says.
func (c counters) doubts(after counters) (all []string) {
	if after.quota > c.quota {
		all = append(all, heldBack)
	}
	if after.heat > c.heat {
		all = append(all, tooHot)
	}
	total := float64(after.all - c.all)
	if !c.known || !after.known || total < leastTicks {
		return all
	}
	if float64(after.steal-c.steal)/total > stealLimit {
		all = append(all, stolen)
	}
	// A process that was started in this turn has all of its time from it.
	if others := float64(after.busy-c.busy) - float64(after.mine-c.mine); after.whose && others/total > otherLimit {
		all = append(all, crowded)
	}
	return all
}

// read reads the counters; what a system does not tell stays 0.
func (g guard) read(pid int) counters {
	c := counters{quota: g.throttledPeriods(), heat: g.throttledCores()}
	c.busy, c.steal, c.all, c.known = cpuTime(g.text("proc/stat"))
	own, _ := processTime(g.text("proc/self/stat"))
	other, ok := int64(0), true
	if pid > 0 {
		other, ok = processTime(g.text("proc/" + strconv.Itoa(pid) + "/stat"))
	}
	c.mine, c.whose = own+other, ok
	return c
}

// cpuTime reads the first line of /proc/stat: ticks of all CPUs.
func cpuTime(stat string) (busy, steal, all int64, ok bool) {
	line, _, _ := strings.Cut(stat, "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, 0, 0, false
	}
	var v [9]int64 // user nice system idle iowait irq softirq steal
	for i := 1; i < 9; i++ {
		v[i] = number(f[i])
		all += v[i]
	}
	return v[1] + v[2] + v[3] + v[6] + v[7], v[8], all, true
}

// processTime reads user and system time out of /proc/PID/stat, with that of
// children that ended.
func processTime(stat string) (ticks int64, ok bool) {
	_, rest, found := strings.Cut(stat, ") ")
	f := strings.Fields(rest)
	if !found || len(f) < 15 {
		return 0, false
	}
	for _, v := range f[11:15] { // utime stime cutime cstime
		ticks += number(v)
	}
	return ticks, true
}

// throttledPeriods is nr_throttled of the innermost cgroup that counts it, version
// 1 or 2, as the process sees it.
func (g guard) throttledPeriods() int64 {
	for _, line := range strings.Split(g.text("proc/self/cgroup"), "\n") {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 || part[1] != "" && !strings.Contains(","+part[1]+",", ",cpu,") {
			continue
		}
		base := "sys/fs/cgroup"
		if part[1] != "" {
			base = "sys/fs/cgroup/cpu"
		}
		for dir := filepath.Clean("/" + part[2]); ; dir = filepath.Dir(dir) {
			if n, found := field(g.text(strings.TrimPrefix(filepath.Join("/", base, dir, "cpu.stat"), "/")), "nr_throttled"); found {
				return n
			}
			if dir == "/" {
				break
			}
		}
	}
	return 0
}

// throttledCores is how often cores were throttled for their temperature.
func (g guard) throttledCores() (sum int64) {
	paths, _ := fs.Glob(g.files, "sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/*_throttle_count")
	for _, p := range paths {
		sum += number(strings.TrimSpace(g.text(p)))
	}
	return sum
}

// text is a small file's; "" where it cannot be read.
func (g guard) text(path string) string {
	b, err := fs.ReadFile(g.files, path)
	if err != nil {
		return ""
	}
	return string(b)
}

// field is the number behind a word at the beginning of a line.
func field(text, word string) (n int64, found bool) {
	for _, line := range strings.Split(text, "\n") {
		if v, ok := strings.CutPrefix(line, word+" "); ok {
			return number(strings.TrimSpace(v)), true
		}
	}
	return 0, false
}

// number is 0 where text is none.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// gpuOf fills in what NVML tells of the machine's first GPU.
func gpuOf(m *bench.Machine) {
	driver, all, err := doctor.ThisMachine("").GPUs()
	if m.Driver = driver; err != nil {
		m.NoGPU = err.Error()
		return
	}
	if len(all) == 0 {
		m.NoGPU = "the driver sees no GPU"
		return
	}
	g := all[0]
	m.GPU, m.Compute, m.CUDA, m.GPUMemory = g.Name, g.Compute, g.CUDA, int64(g.MemoryBytes)
}
