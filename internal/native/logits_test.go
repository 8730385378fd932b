//go:build cgo

package native

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/trtforge/trtforge/validate"
)

// A row of logits adds up in C to what it does in Go, of lengths around its blocks and lanes.
func TestLogSumExp(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, n := range []int{1, 2, 15, 16, 17, 1023, 1024, 1025, 2048, 50257} {
		row := make([]float32, n)
		for _, wide := range []float32{0, 1e-3, 3, 300, 1e30} {
			for i := range row {
				row[i] = wide * float32(r.NormFloat64())
			}
			for _, odd := range [][]float32{nil, {inf}, {-inf}, {nan}, {1e31}, {1e31, 1e31}, {-inf, nan}} {
				changed := slices.Clone(row)
				for _, v := range odd {
					changed[r.IntN(n)] = v
				}
				got, top := logSumExp(changed)
				want, at := validate.LogSumExp(changed)
				same := math.Abs(got-want) <= 1e-12*max(1, math.Abs(want)) || math.IsNaN(got) && math.IsNaN(want)
				if !same || top != at {
					t.Errorf("%d values of width %g with %v: %v at %d, want %v at %d", n, wide, odd, got, top, want, at)
				}
			}
		}
	}
}
