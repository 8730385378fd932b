package task

import (
	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/profiles"
)

// leastRequests is how many requests of a trace are drawn at least: fewer say little
// of it, however few repetitions are asked for.
const leastRequests = 10

// NewDraw draws requests of a trace for so many repetitions.
func NewDraw(repetitions int, seed uint64) *bench.Draw {
	return bench.NewDraw(max(repetitions, leastRequests), seed)
}

// DrawLengths draws as many requests as a trace would leave from the workload's
// distribution, where it has one.
func DrawLengths(w profiles.Workload, positions int, draw *bench.Draw) error {
	if w.Lengths == "" {
		return nil
	}
	return profiles.DrawLengths(w.Lengths, draw.Size(), draw.Seed(), positions, draw.Add)
}
