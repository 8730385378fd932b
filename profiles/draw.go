package profiles

import (
	"math/rand/v2"

	"github.com/trtforge/trtforge/internal/fault"
)

// drawTries bounds how often a request that is too long is drawn again.
const drawTries = 10_000

// DrawLengths draws the lengths of n requests from a distribution (see
// [ParseLengths]), the same for the same seed, and tells them to each. With a limit,
// requests that reach further than so many positions are drawn again. Nonsense, and a
// distribution of which hardly anything fits, are errors of class usage.
func DrawLengths(text string, n int, seed uint64, limit int, each func(prompt, fresh int)) error {
	if _, err := ParseLengths(text, limit, false); err != nil {
		return err
	}
	p, f, err := distributions(text)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(seed, 2))
	for tries := 0; n > 0; tries++ {
		prompt, fresh := p.draw(r), f.draw(r)
		switch {
		case limit <= 0 || reach(prompt, fresh, false) <= limit:
			each(prompt, fresh)
			n, tries = n-1, 0
		case tries == drawTries:
			return fault.New(fault.Usage, "drawing from", clip(text), "hardly anything of it fits into the model's positions", "give shorter lengths")
		}
	}
	return nil
}

// draw is a length by its share.
func (d distribution) draw(r *rand.Rand) int {
	var sum int64
	for _, n := range d.counts {
		sum += n
	}
	at := r.Int64N(sum)
	for i, n := range d.counts {
		if at -= n; at < 0 {
			return d.from + i
		}
	}
	return d.from // sum is that of the counts
}
