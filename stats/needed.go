package stats

import "math"

// mostNeeded bounds what Needed asks for.
const mostNeeded = 1_000_000

// Needed is how many samples in all, those given included, will bring the 95 %
// interval of their median within a share of it to either side: 0.01 is ±1 %. It
// is the number given where they are there already, and at least LeastSamples(0.5).
//
// The interval shrinks with the root of n, so the estimate is as good as the
// interval that it starts from; below six samples that is the normal
// approximation. Ask again after each round. Who stops at the first interval that
// is narrow enough catches lucky ones, too: its true level is a little lower.
func Needed(values []float64, within float64) int {
	n, least := len(values), LeastSamples(0.5)
	if n < 2 || within <= 0 || notFinite(values) > 0 {
		return least
	}
	s := Median(values)
	half := max(s.Hi-s.Value, s.Value-s.Lo)
	if n < least {
		// The median's standard error is sqrt(pi/2) of the mean's.
		half = z95 * math.Sqrt(math.Pi/2/float64(n)) * variation(values) * math.Abs(mean(values))
	}
	if half == 0 {
		return max(n, least)
	}
	share := half / (within * math.Abs(s.Value))
	if share <= 1 {
		return max(n, least)
	}
	more := math.Ceil(float64(n) * share * share)
	if !(more < mostNeeded) { // also a median of 0
		return mostNeeded
	}
	return max(int(more), least)
}
