package trial

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/internal/child"
	"github.com/trtforge/trtforge/internal/ort"
)

var root = os.DirFS("/")

// Machine is the machine that this process runs on, before anything is measured.
// threads is what sessions use; 0 where the runtime chooses.
func Machine(createdBy string, threads int, versions map[string]string) bench.Machine {
	m := newGuard().machine()
	m.CreatedBy, m.Versions = createdBy, versions
	if m.Threads = threads; threads == 0 {
		m.Threads = ort.Threads()
	}
	m.Host, _ = os.Hostname()
	if features := ort.CPU(); features != "unknown" {
		m.Features = strings.Fields(features)
	}
	m.Memory = max(child.DefaultMemory(), 0)
	gpuOf(&m)
	m.Warnings = suspicions(m)
	return m
}

// machine is what files tell.
func (g guard) machine() bench.Machine {
	info := g.text("proc/cpuinfo")
	m := bench.Machine{
		Kind: "machine", SchemaVersion: bench.MachineVersion, CPU: cpuName(info), Cores: runtime.NumCPU(),
		OS: runtime.GOOS + "/" + runtime.GOARCH, Kernel: strings.TrimSpace(g.text("proc/sys/kernel/osrelease")),
		Governor: strings.TrimSpace(g.text("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
		Turbo:    g.turbo(),
	}
	if strings.Contains(line(info, "flags")+" ", " hypervisor ") {
		if m.Virtual = strings.TrimSpace(g.text("sys/class/dmi/id/product_name")); m.Virtual == "" {
			m.Virtual = "hypervisor"
		}
	}
	if f := strings.Fields(g.text("proc/loadavg")); len(f) > 0 {
		m.Load, _ = strconv.ParseFloat(f[0], 64)
	}
	return m
}

// turbo is on or off; "" where the kernel does not tell.
func (g guard) turbo() string {
	switch strings.TrimSpace(g.text("sys/devices/system/cpu/intel_pstate/no_turbo")) {
	case "0":
		return "on"
	case "1":
		return "off"
	}
	switch strings.TrimSpace(g.text("sys/devices/system/cpu/cpufreq/boost")) {
	case "1":
		return "on"
	case "0":
		return "off"
	}
	return ""
}

// cpuName is the processor's name: x86 has it in words, ARM in numbers.
func cpuName(info string) string {
	if name := line(info, "model name"); name != "" {
		return name
	}
	if part := line(info, "CPU part"); part != "" {
		return "implementer " + line(info, "CPU implementer") + " part " + part
	}
	return "unknown"
}

// line is what stands behind a key of /proc/cpuinfo for the first processor.
func line(info, key string) string {
	for _, l := range strings.Split(info, "\n") {
		if k, v, found := strings.Cut(l, ":"); found && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// suspicions are what makes figures of the machine doubtful from the start.
func suspicions(m bench.Machine) (all []string) {
	if m.Governor != "" && m.Governor != "performance" {
		all = append(all, fmt.Sprintf("the CPU's frequency is governed by %q: figures vary with what ran before", m.Governor))
	}
	if m.Turbo == "on" {
		all = append(all, "turbo is on: the clock depends on temperature and on how many cores work")
	}
	if m.Load > 0.5*float64(m.Cores) {
		all = append(all, fmt.Sprintf("the machine was busy before the first turn: a load of %.1f on %d CPUs", m.Load, m.Cores))
	}
	if m.Threads > m.Cores {
		all = append(all, fmt.Sprintf("%d threads on %d CPUs wait for each other", m.Threads, m.Cores))
	}
	return all
}

// machine is the machine as the trial's systems use it.
func (t *Trial) machine() bench.Machine {
	threads := 0
	for _, s := range t.Systems {
		threads = max(threads, s.Model.Threads)
	}
	return Machine(t.CreatedBy, threads, t.Versions)
}
