package calib

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/trtforge/trtforge/internal/fault"
)

// Batches are the indices of the samples that are run together, in order: windows
// of one shape, so that no padding is needed, as many as Batch says. A batch
// takes its turn where its first sample stands. The batches of all parts are
// those of the whole plan, so that a part runs exactly what the whole would.
func (p Plan) Batches() [][]int {
	var all [][]int
	open := map[[2]int]int{} // shape -> its batch that is not full
	for i, s := range p.Samples {
		shape := [2]int{s.Prefill, s.Decode}
		b, ok := open[shape]
		if !ok {
			b = len(all)
			open[shape] = b
			all = append(all, nil)
		}
		if all[b] = append(all[b], i); len(all[b]) >= max(1, p.Batch) {
			delete(open, shape)
		}
	}
	if p.Of <= 1 {
		return all
	}
	var mine [][]int
	for b := p.Part; b < len(all); b += p.Of {
		mine = append(mine, all[b])
	}
	return mine
}

// Shard is part i (from 0) of n of the plan: every n-th batch. Merging the
// observations of all parts gives those of the whole. More parts than batches
// are an error of class usage.
func (p Plan) Shard(i, n int) (Plan, error) {
	p.Part, p.Of = 0, 0
	batches := len(p.Batches())
	if n < 1 || i < 0 || i >= n || n > batches {
		return Plan{}, fault.New(fault.Usage, "dividing the calibration", fmt.Sprintf("part %d of %d", i+1, n),
			fmt.Sprintf("the plan has %d batches of up to %d samples", batches, max(1, p.Batch)), "ask for fewer parts, more samples or smaller batches")
	}
	p.Part, p.Of = i, n
	return p, nil
}

// Digest is that of the whole plan, whichever part of it this is.
func (p Plan) Digest() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "batch %d\n", max(1, p.Batch))
	for _, s := range p.Samples {
		_, _ = fmt.Fprintf(h, "%d %d %d\n", s.Start, s.Prefill, s.Decode)
	}
	return hex.EncodeToString(h.Sum(nil))
}
