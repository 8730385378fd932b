package stats

// Blocks is a bootstrap of whole blocks (windows of a text, rounds of a benchmark)
// for samples that depend on their neighbours. All figures of the same Blocks are
// drawn alike, so they may be set against each other.
type Blocks struct {
	N         int // blocks
	Resamples int // 0 = Resamples
	Seed      uint64
}

// Interval is a figure of all blocks and its BCa interval; draw holds indices of
// blocks.
func (b Blocks) Interval(figure func(draw []int) float64) Summary {
	return BCa(b.N, figure, b.Resamples, b.Seed)
}

// MeanOf is the mean of the drawn values. Of blocks of equal length it is the
// mean of all their samples.
func MeanOf(values []float64, draw []int) float64 {
	sum := 0.0
	for _, i := range draw {
		sum += values[i]
	}
	return sum / float64(len(draw))
}
