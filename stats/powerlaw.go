package stats

import (
	"fmt"
	"math"
	"slices"
)

// Law is y = A0 x^K.
type Law struct {
	A0, K    Summary
	R2       float64 // share of the spread of log y that it explains
	N        int     // points
	Warnings []string
}

// At is the law's y.
func (l Law) At(x float64) float64 { return l.A0.Value * math.Pow(x, l.K.Value) }

// leastPoints is the least number of points for which a fit has an interval over
// points.
const leastPoints = 5

// PowerLaw fits a law to positive points by least squares of logarithms, with
// percentile intervals of a bootstrap over points (pairs of x and y).
func PowerLaw(x, y []float64, seed uint64) (Law, error) {
	f, err := newFit(x, y)
	if err != nil {
		return Law{}, err
	}
	c, k := f.line(whole(f.n()))
	law := Law{A0: Summary{Value: math.Exp(c), N: f.n()}, K: Summary{Value: k, N: f.n()}, N: f.n(), R2: f.explained(c, k)}
	if law.N < leastPoints {
		why := fmt.Sprintf("%d of at least %d points", law.N, leastPoints)
		law.A0, law.K = law.A0.without(why), law.K.without(why)
		return law, nil
	}
	var a0s, ks []float64
	draw, r := make([]int, law.N), source(seed)
	for range Resamples {
		redraw(draw, law.N, r)
		if c, k := f.line(draw); !math.IsNaN(k) { // NaN: one point, drawn n times
			a0s, ks = append(a0s, math.Exp(c)), append(ks, k)
		}
	}
	slices.Sort(a0s)
	slices.Sort(ks)
	law.A0, law.K = law.A0.percentile(a0s), law.K.percentile(ks)
	return law, nil
}

// fit is points in logarithms.
type fit struct{ x, y []float64 }

func newFit(x, y []float64) (*fit, error) {
	if len(x) != len(y) {
		return nil, fmt.Errorf("%d sizes and %d values", len(x), len(y))
	}
	f := &fit{}
	sizes := map[float64]bool{}
	for i := range x {
		if !(x[i] > 0 && y[i] > 0) || notFinite(x[i:i+1], y[i:i+1]) > 0 {
			return nil, fmt.Errorf("point %d is (%g, %g): a power law wants positive, finite numbers", i, x[i], y[i])
		}
		sizes[x[i]] = true
		f.x, f.y = append(f.x, math.Log(x[i])), append(f.y, math.Log(y[i]))
	}
	if len(sizes) < 2 {
		return nil, fmt.Errorf("%d sizes: a power law wants two at least", len(sizes))
	}
	return f, nil
}

func (f *fit) n() int { return len(f.x) }

// line is the least-squares line through the drawn points; its slope is NaN where
// they are all of one size.
func (f *fit) line(draw []int) (intercept, slope float64) {
	meanX, meanY := MeanOf(f.x, draw), MeanOf(f.y, draw)
	var xy, xx float64
	for _, i := range draw {
		xy += (f.x[i] - meanX) * (f.y[i] - meanY)
		xx += (f.x[i] - meanX) * (f.x[i] - meanX)
	}
	if xx == 0 {
		return math.NaN(), math.NaN()
	}
	slope = xy / xx
	return meanY - slope*meanX, slope
}

// explained is R² of a line through all points; 1 where they do not vary.
func (f *fit) explained(intercept, slope float64) float64 {
	centre := mean(f.y)
	var left, total float64
	for i := range f.x {
		residual, off := f.y[i]-intercept-slope*f.x[i], f.y[i]-centre
		left += residual * residual
		total += off * off
	}
	if total == 0 {
		return 1
	}
	return 1 - left/total
}
