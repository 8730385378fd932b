package gate

import (
	"math"

	"github.com/trtforge/trtforge/rows"
)

// Figure is a number with its 95 % interval; the ends are infinite where there is
// none, and equal to it where it is exact.
type Figure struct {
	Value rows.Number `json:"value"`
	Lo    rows.Number `json:"lo"`
	Hi    rows.Number `json:"hi"`
}

func figure(value, lo, hi float64) *Figure {
	return &Figure{rows.Number(value), rows.Number(lo), rows.Number(hi)}
}

func figureOf(r rows.Row) *Figure { return figure(r.Value, r.Lo, r.Hi) }

// Bounded tells whether both ends of the interval are known.
func (f Figure) Bounded() bool {
	for _, v := range []float64{float64(f.Lo), float64(f.Hi)} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
