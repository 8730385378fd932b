package report

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/bench"
)

// failureLine is one class of failure of one engine in one scenario.
type failureLine struct {
	Engine, Kind, Scenario, Phase, Class, Cause string
	N, Of                                       int
}

// described is how bench puts a class into words: "shape (3): the cause".
var described = regexp.MustCompile(`^([a-z0-9_ -]+) \((\d+)\): (.*)$`)

// failures are the requests that gave no time, by class.
func (d *Data) failures() []failureLine {
	var all []failureLine
	for _, r := range d.Rows {
		if r.Name != bench.Failed || !(r.Value > 0) {
			continue
		}
		l := failureLine{Engine: r.Engine, Kind: d.classOf(r.Engine), Scenario: orDash(r.Scenario), Phase: r.Phase, Class: "not told", N: int(r.Value), Of: r.N}
		found := false
		for _, w := range r.Warnings {
			m := described.FindStringSubmatch(w)
			if m == nil {
				continue
			}
			found = true
			one := l
			one.Class, one.Cause = strings.ReplaceAll(m[1], "_", " "), m[3]
			one.N, _ = strconv.Atoi(m[2])
			all = append(all, one)
		}
		if !found {
			l.Cause = strings.Join(r.Warnings, "; ")
			all = append(all, l)
		}
	}
	return all
}

// failed is how many requests failed.
func (d *Data) failed() int {
	n := 0
	for _, f := range d.failures() {
		n += f.N
	}
	return n
}
