package jobs

import (
	"os"
	"strconv"
	"strings"
)

// peakRSS is the process's peak of resident memory in bytes (VmHWM); 0 where the
// system does not tell.
func peakRSS() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, found := strings.Cut(string(text), "\nVmHWM:")
	if !found {
		return 0
	}
	kb, err := strconv.ParseInt(strings.Fields(after)[0], 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}
