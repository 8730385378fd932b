package engine

import (
	"bufio"
	"io"
	"regexp"
	"strconv"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// memoryLine is what the builder says once for each profile, in their order, and of
// the weights at the end.
var memoryLine = regexp.MustCompile(`(?:^|\] )(Total Host Persistent|Total Device Persistent|Max Scratch|Total Activation|Total Weights) Memory: (\d+) bytes$`)

// longestLine bounds a line: fused layers list hundreds of node names.
const longestLine = 16 << 20

// ReadMemory is what a plan needs on the device, from a builder's account, or from the
// log of trtexec, in which levels and times stand in front. nil where that does not speak
// of every profile: what is not known is not guessed.
func ReadMemory(r io.Reader, all []profiles.Profile) (*Memory, error) {
	var m Memory
	var p ProfileMemory
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), longestLine)
	for s.Scan() {
		found := memoryLine.FindStringSubmatch(s.Text())
		if found == nil {
			continue
		}
		n, err := strconv.ParseInt(found[2], 10, 64)
		if err != nil {
			return nil, nil //nolint:nilerr // a number that is none is as good as no line
		}
		switch found[1] {
		case "Total Host Persistent":
			p.HostBytes = n
		case "Total Device Persistent":
			p.DeviceBytes = n
		case "Max Scratch":
			p.ScratchBytes = n
		case "Total Activation": // the last that is said of a profile
			p.ActivationBytes = n
			m.Profiles, p = append(m.Profiles, p), ProfileMemory{}
		case "Total Weights":
			m.WeightsBytes = n
		}
	}
	if err := s.Err(); err != nil {
		return nil, fault.Wrap(fault.Input, "reading the builder's account", "", err, "build the engine again")
	}
	if len(m.Profiles) != len(all) {
		return nil, nil
	}
	for i := range all {
		m.Profiles[i].Profile = all[i].Name
	}
	return &m, nil
}
