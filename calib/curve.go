package calib

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// Curve is how the amax of each tensor grew with the samples. It has a point
// after every Every batches; when there are [curvePoints], every second one is
// dropped and Every doubles, so that it stays small and the points stay evenly
// spaced.
type Curve struct {
	Method  string               `json:"method"`
	Every   int                  `json:"every"`
	Samples []int                `json:"samples"` // windows run at each point
	Amax    map[string][]float32 `json:"amax"`    // of each tensor, one a point
}

const curvePoints = 64

func newCurve(m Method) *Curve {
	return &Curve{Method: m.orAbsmax().String(), Every: 1, Amax: map[string][]float32{}}
}

func (c *Curve) method() string {
	if c == nil {
		return "none"
	}
	return c.Method
}

// follow adds a point to the curve where one is due, and stops where the rule is
// met.
func (o *Observations) follow(m Method) error {
	c := o.Curve
	if o.Done%c.Every != 0 {
		return nil
	}
	amax, err := o.amax(m.orAbsmax())
	if err != nil {
		return err
	}
	c.Samples = append(c.Samples, o.Samples)
	for name, a := range amax {
		c.Amax[name] = append(c.Amax[name], a)
	}
	o.Stopped = c.stop(o.Until)
	if len(c.Samples) >= curvePoints {
		c.thin()
	}
	return nil
}

// ends are the amax of its last point where that is of these samples and that
// method; nil elsewhere.
func (c *Curve) ends(m Method, samples int) map[string]float32 {
	if c == nil || c.Method != m.String() || len(c.Samples) == 0 || c.Samples[len(c.Samples)-1] != samples {
		return nil
	}
	ends := map[string]float32{}
	for name, a := range c.Amax {
		ends[name] = a[len(a)-1]
	}
	return ends
}

// thin drops every second point: those that would not be there had Every been
// twice as large.
func (c *Curve) thin() {
	c.Every *= 2
	c.Samples = second(c.Samples)
	for name, a := range c.Amax {
		c.Amax[name] = second(a)
	}
}

func second[T any](all []T) (kept []T) {
	for i := 1; i < len(all); i += 2 {
		kept = append(kept, all[i])
	}
	return kept
}

// Settled is the number of samples from which on a tensor's amax stayed within
// percent of its last value, by tensor.
func (c *Curve) Settled(percent float64) map[string]int {
	settled := map[string]int{}
	for name, a := range c.Amax {
		at := len(a) - 1
		for at > 0 && shift(a[at-1], a[len(a)-1]) <= percent {
			at--
		}
		settled[name] = c.Samples[at]
	}
	return settled
}

// settledPercent is how near to its end a range must have stayed to count as
// settled where the calibration had no stop rule of its own.
const settledPercent = 1

// Near is how near to its end, in percent, a range counts as settled.
func (o *Observations) Near() float64 {
	if o.Until != nil {
		return o.Until.Percent
	}
	return settledPercent
}

// Moving are the tensors whose amax still moved by more than Near in the second
// half of the samples, by name; nil too where no curve tells.
func (o *Observations) Moving() (names []string) {
	if o.Curve == nil || len(o.Curve.Samples) == 0 {
		return nil
	}
	last := o.Curve.Samples[len(o.Curve.Samples)-1]
	for name, n := range o.Curve.Settled(o.Near()) {
		if 2*n > last {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// shift is by how many percent of is something differs from it.
func shift(was, is float32) float64 {
	if was == is {
		return 0
	}
	return 100 * math.Abs(float64(is)-float64(was)) / float64(is)
}

// Until is a rule that ends a calibration before its plan does. It is met after n
// samples when n is at least Least and, at all points of the curve from n/2
// samples on, of which there are three or more before the last, the amax of every
// tensor lies within Percent of what it is now: the sample doubled and nothing moved.
//
// A rule of a fixed number of checks would not do: of a heavy-tailed tensor the
// running maximum moves ever more rarely, so any fixed number of quiet checks
// comes by chance if one waits. That the second half of the samples, which come
// in random order, exceeds the first has the same chance (one half, for the
// maximum of independent samples) however many there are.
type Until struct {
	Percent float64 `json:"percent"`
	Least   int     `json:"least"` // samples that are run in any case
}

// leastSamples are run before a calibration may be called stable.
const leastSamples = 16

// ParseUntil reads "1%" or "1": a percentage.
func ParseUntil(text string) (*Until, error) {
	p, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(p > 0 && p < 100) {
		return nil, fault.New(fault.Usage, "choosing when the calibration is stable", text, "not a percentage above 0 and below 100", "write 1%")
	}
	return &Until{Percent: p, Least: leastSamples}, nil
}

// String is what ParseUntil reads, with the least number of samples.
func (u *Until) String() string {
	if u == nil {
		return "none"
	}
	return fmt.Sprintf("%g%% after %d samples or more", u.Percent, u.Least)
}

// Stopped says that the rule ended the calibration, and why.
type Stopped struct {
	Samples int     `json:"samples"`
	Since   int     `json:"since"`         // samples at the first point that was compared
	Tensor  string  `json:"tensor"`        // the one that moved most since; "" where none did
	Moved   float64 `json:"moved_percent"` // by how much
}

// stop tells whether the rule is met at the last point.
func (c *Curve) stop(u *Until) *Stopped {
	last := len(c.Samples) - 1
	if u == nil || c.Samples[last] < u.Least {
		return nil
	}
	from, _ := slices.BinarySearch(c.Samples, (c.Samples[last]+1)/2)
	if 2*c.Samples[from] > c.Samples[last] && from > 0 {
		from-- // at most half of the samples: what came after is as many or more
	}
	if last-from < 3 || 2*c.Samples[from] > c.Samples[last] {
		return nil
	}
	s := &Stopped{Samples: c.Samples[last], Since: c.Samples[from]}
	for _, name := range slices.Sorted(maps.Keys(c.Amax)) {
		a := c.Amax[name]
		for _, was := range a[from:] {
			if by := shift(was, a[last]); by > s.Moved {
				s.Tensor, s.Moved = name, by
			}
		}
	}
	if s.Moved > u.Percent {
		return nil
	}
	return s
}

// String says why the calibration ended, in one sentence.
func (s *Stopped) String() string {
	if s.Tensor == "" {
		return fmt.Sprintf("stopped after %d samples: since the %dth no amax moved", s.Samples, s.Since)
	}
	return fmt.Sprintf("stopped after %d samples: since the %dth no amax moved by more than %.2g %% (%s)", s.Samples, s.Since, s.Moved, s.Tensor)
}
