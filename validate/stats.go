package validate

import (
	"math"
	"math/rand/v2"
	"slices"
)

// bootstrap draws windows with replacement, the same draws for every figure.
type bootstrap struct {
	whole []int // every window once
	draws [][]int
}

func newBootstrap(windows int, o Options) *bootstrap {
	resamples := o.Resamples
	if resamples <= 0 {
		resamples = 2000
	}
	b := &bootstrap{whole: make([]int, windows), draws: make([][]int, resamples)}
	for i := range b.whole {
		b.whole[i] = i
	}
	r := rand.New(rand.NewPCG(o.Seed, 0x7472_7466_6f72_6765))
	for i := range b.draws {
		b.draws[i] = make([]int, windows)
		for j := range b.draws[i] {
			b.draws[i][j] = r.IntN(windows)
		}
	}
	return b
}

// interval is a figure of all windows and its 95 % percentile interval.
func (b *bootstrap) interval(figure func(draw []int) float64) [3]float64 {
	values := make([]float64, len(b.draws))
	for i, d := range b.draws {
		values[i] = figure(d)
	}
	slices.Sort(values)
	return [3]float64{figure(b.whole), nearestRank(values, 0.025), nearestRank(values, 0.975)}
}

// blockMeans is the mean of each stretch of size values.
func blockMeans(values []float64, size int) []float64 {
	var all []float64
	for block := range slices.Chunk(values, size) {
		all = append(all, mean(block))
	}
	return all
}

// meanOf is the mean of the drawn values. Windows are of equal length, so the
// mean of their means is the mean of all.
func meanOf(values []float64, draw []int) float64 {
	sum := 0.0
	for _, i := range draw {
		sum += values[i]
	}
	return sum / float64(len(draw))
}

func difference(a, b []float64) []float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return d
}

// nearestRank is the smallest value with a share of at least q at or below it.
func nearestRank(sorted []float64, q float64) float64 {
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// wilson is the share of ones and its 95 % Wilson score interval
// (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).
func wilson(ones []byte) (share, lo, hi float64) {
	n, k := float64(len(ones)), 0.0
	for _, b := range ones {
		k += float64(b & 1)
	}
	const z = 1.959963984540054
	p := k / n
	centre := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return p, max(0, centre-half), min(1, centre+half)
}
