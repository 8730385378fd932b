package trial

import (
	"math"
	"time"
)

// slowLimit is the share of its best pace below which a core is doubted.
const slowLimit = 0.90

// pacer holds the pace of a core after each turn against the best that was seen. It
// tells of a clock that went down where the kernel tells of none: in a virtual machine,
// without a sensor, on a laptop whose battery is low.
type pacer struct {
	run  func() time.Duration
	best time.Duration
}

func newPacer() *pacer { return &pacer{run: chain, best: chain()} }

// slow tells whether the core runs slower than at its best.
func (p *pacer) slow() bool {
	if p == nil {
		return false
	}
	took := p.run()
	p.best = min(p.best, took)
	return float64(p.best) < slowLimit*float64(took)
}

// chain is the least time of products that wait for each other, so that neither the
// memory nor another thread of the core has much to say: 1 ms at most, several times,
// long enough for a governor to wake up.
func chain() time.Duration {
	best := time.Duration(math.MaxInt64)
	for range 20 {
		start := time.Now()
		x := uint64(start.UnixNano())
		for range 300_000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
		if took := time.Since(start); took < best && x != 0 { // x is used: the loop stays
			best = took
		}
	}
	return best
}
