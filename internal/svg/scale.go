package svg

import "math"

// Scale maps the domain From..To to the coordinates A..B, linearly or by
// logarithm. Values outside are held to the ends.
type Scale struct {
	From, To float64
	A, B     float64
	Log      bool // From must then be above 0
}

// At is the coordinate of v.
func (s Scale) At(v float64) float64 {
	from, to := s.From, s.To
	if s.Log {
		v, from, to = math.Log(math.Max(v, s.From)), math.Log(from), math.Log(to)
	}
	if to == from || math.IsNaN(v) {
		return s.A
	}
	t := math.Min(math.Max((v-from)/(to-from), 0), 1)
	return s.A + t*(s.B-s.A)
}

// Ticks are about n round values from 0 or lo to at least hi, steps of 1, 2 or 5
// times a power of ten.
func Ticks(lo, hi float64, n int) []float64 {
	if !(hi > lo) || n < 1 || math.IsInf(hi-lo, 0) {
		return []float64{lo}
	}
	raw := (hi - lo) / float64(n)
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5, 10} {
		if step*m >= raw*0.999 {
			step *= m
			break
		}
	}
	var ticks []float64
	first, last := math.Floor(lo/step), math.Ceil(hi/step-1e-9)
	for i := first; i <= last; i++ {
		ticks = append(ticks, i*step)
	}
	return ticks
}

// Decades are the powers of ten from the one at or below lo to the one at or
// above hi; both must be above 0.
func Decades(lo, hi float64) []float64 {
	if !(lo > 0) || !(hi >= lo) || math.IsInf(hi, 0) {
		return []float64{1, 10}
	}
	from, to := math.Floor(math.Log10(lo)+1e-9), math.Ceil(math.Log10(hi)-1e-9)
	if to == from {
		to++
	}
	var ticks []float64
	for e := from; e <= to; e++ {
		ticks = append(ticks, math.Pow(10, e))
	}
	return ticks
}
