package calib

import "math"

// Moments are the mean and the sums of the second to fourth power of the
// deviations from it. They merge without loss of digits where power sums about
// zero would cancel (Chan, Golub and LeVeque 1979 for the second; Pébay, "Formulas
// for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order
// Statistical Moments", SAND2008-6212, for the others).
type Moments struct {
	Mean float64 `json:"mean"`
	M2   float64 `json:"m2"`
	M3   float64 `json:"m3"`
	M4   float64 `json:"m4"`
}

// merge joins the moments of count values with those of n others.
func (m *Moments) merge(count int64, o Moments, n int64) {
	if n == 0 {
		return
	}
	if count == 0 {
		*m = o
		return
	}
	a, b := float64(count), float64(n)
	all := a + b
	d := o.Mean - m.Mean
	r := d / all
	between := d * r * a * b // d² ab/n
	m.M4 += o.M4 + between*r*r*(a*a-a*b+b*b) + 6*r*r*(a*a*o.M2+b*b*m.M2) + 4*r*(a*o.M3-b*m.M3)
	m.M3 += o.M3 + between*r*(a-b) + 3*r*(a*o.M2-b*m.M2)
	m.M2 += o.M2 + between
	m.Mean += r * b
}

// Kurtosis is M4 n / M2²: 3 for a normal distribution, 1.8 for a uniform one,
// hundreds where a few channels dominate. 0 where all values are the same.
func (o *Observation) Kurtosis() float64 {
	if o.Moments.M2 <= 0 {
		return 0
	}
	return float64(o.Count) * o.Moments.M4 / (o.Moments.M2 * o.Moments.M2)
}

// Deviation is the standard deviation of the values.
func (o *Observation) Deviation() float64 {
	if o.Count == 0 {
		return 0
	}
	return math.Sqrt(o.Moments.M2 / float64(o.Count))
}
