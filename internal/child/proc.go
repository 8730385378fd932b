package child

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// usage is the memory of a process tree in bytes.
type usage struct {
	resident int64 // sum of VmRSS
	peak     int64 // sum of VmHWM
}

// TreePeak is the sum of VmHWM over pid and its descendants, in bytes; 0 where it
// is gone. It is more than the tree ever had at once where its processes had their
// peaks at different times.
func TreePeak(pid int) int64 { return treeUsage(pid).peak }

// OwnPeak is the peak of this process's resident memory in bytes (VmHWM) since
// [ForgetPeak]; 0 where the system does not tell.
func OwnPeak() int64 { return processUsage(os.Getpid()).peak }

// ForgetPeak makes the kernel count this process's peak anew, so that a piece of work
// shows its own, with what earlier ones left in the runtime's arena. Where the kernel
// refuses, the peak is that of the process so far.
func ForgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// treeUsage sums the memory of pid and its descendants; zero where it is gone.
// Shared pages count in each process that has them.
func treeUsage(pid int) usage {
	var sum usage
	seen := map[int]bool{}
	todo := []int{pid}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[p] {
			continue
		}
		seen[p] = true
		u := processUsage(p)
		sum.resident += u.resident
		sum.peak += u.peak
		todo = append(todo, childrenOf(p)...)
	}
	return sum
}

func processUsage(pid int) usage {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}
	}
	return usage{resident: kibibytes(status, "VmRSS:"), peak: kibibytes(status, "VmHWM:")}
}

// kibibytes is the bytes of a line like "VmRSS:   1234 kB".
func kibibytes(text []byte, key string) int64 {
	_, rest, found := bytes.Cut(text, []byte(key))
	if !found {
		return 0
	}
	fields := strings.Fields(string(rest[:min(len(rest), 64)]))
	if len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// childrenOf reads the kernel's own list of children, thread by thread.
func childrenOf(pid int) []int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var pids []int
	for _, path := range lists {
		list, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(list)) {
			if p, err := strconv.Atoi(f); err == nil {
				pids = append(pids, p)
			}
		}
	}
	return pids
}

// DefaultMemory is 80 % of the memory that this process may use, in bytes: the
// smaller of the machine's and its cgroup's; -1 where neither is known.
func DefaultMemory() int64 {
	limit := int64(-1)
	lower := func(n int64) {
		if n > 0 && (limit < 0 || n < limit) {
			limit = n
		}
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		lower(kibibytes(info, "MemTotal:"))
	}
	if groups, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		for _, path := range cgroupLimits(string(groups)) {
			if text, err := os.ReadFile(path); err == nil {
				if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
					lower(n)
				}
			}
		}
	}
	if limit < 0 {
		return limit
	}
	return limit / 10 * 8
}

// cgroupLimits are the files that may hold a memory limit for the groups of
// /proc/self/cgroup, version 1 and 2, from the innermost group up: a limit
// anywhere on the way binds. "max" in them means none.
func cgroupLimits(groups string) []string {
	var paths []string
	for _, line := range strings.Split(strings.TrimSpace(groups), "\n") {
		part := strings.SplitN(line, ":", 3)
		if len(part) != 3 {
			continue
		}
		root, file := "/sys/fs/cgroup", "memory.max"
		switch {
		case part[0] == "0" && part[1] == "":
		case strings.Contains(","+part[1]+",", ",memory,"):
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for dir := filepath.Clean("/" + part[2]); ; dir = filepath.Dir(dir) {
			paths = append(paths, filepath.Join(root, dir, file))
			if dir == "/" {
				break
			}
		}
	}
	return paths
}
