package calib

import "math"

// leastSquares is the magnitude T, out of a grid, for which quantization to INT8
// has the least mean squared error, clipping included:
//
//	MSE(T) = 1/n * sum over all x of (x - s*clip(round(x/s), -127, 127))^2, s = T/127
//
// The grid is absmax * (1+mseStep)^-j, j = 0, 1, …, down to a bin; of equals the
// greatest T. A bin's values count as spread evenly over it, and the integral of
// the squared error over that density is taken exactly. The grid's step, and not
// the bins, decides how exact it is: half of it.
func (h *Histogram) leastSquares() float32 {
	if h.Counts == nil {
		return 0
	}
	p := h.powers()
	top := float64(h.Amax())
	best, least := top, math.Inf(1)
	for t := top; t > p.width; t /= 1 + mseStep {
		if e := p.error(t); e < least {
			best, least = t, e
		}
	}
	return float32(best)
}

// mseStep is half a percent: T is then within a quarter of one of the minimum.
const mseStep = 0.005

// powers are, at each edge of the bins, the sums of x^0, x^1 and x^2 over all
// magnitudes below it.
type powers struct {
	width  float64
	counts []int64
	sums   [][3]float64
}

func (h *Histogram) powers() *powers {
	p := &powers{width: math.Ldexp(1, h.Exp) / Bins, counts: h.Counts, sums: make([][3]float64, len(h.Counts)+1)}
	for i := range h.Counts {
		p.sums[i+1] = p.below(float64(i+1)*p.width, i)
	}
	return p
}

// below are the sums over magnitudes below x, which lies in bin i or at its end.
func (p *powers) below(x float64, i int) [3]float64 {
	a, s := float64(i)*p.width, p.sums[i]
	d := float64(p.counts[i]) / p.width * (x - a)
	return [3]float64{s[0] + d, s[1] + d*(x+a)/2, s[2] + d*(x*x+x*a+a*a)/3}
}

// error is the sum of squared errors for threshold t.
func (p *powers) error(t float64) (sum float64) {
	step := t / 127
	end := len(p.sums) - 1
	var last [3]float64
	for level := range 128 {
		to := p.sums[end] // the last level takes all that is above it
		x := (float64(level) + 0.5) * step
		if i := int(x / p.width); level < 127 && i < end {
			to = p.below(x, i)
		}
		v := float64(level) * step
		sum += (to[2] - last[2]) - 2*v*(to[1]-last[1]) + v*v*(to[0]-last[0])
		last = to
	}
	return sum
}
