package lint

import (
	"fmt"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/profiles"
)

// Interval is a range of sizes, both ends included.
type Interval struct{ Min, Max int64 }

func (i Interval) String() string {
	if i.Min == i.Max {
		return fmt.Sprint(i.Min)
	}
	return fmt.Sprintf("%d to %d", i.Min, i.Max)
}

// served is the demand by the profile that holds it first, and what none holds.
func served(s Subject) (all [][]profiles.Shape, rest []profiles.Shape) {
	all = make([][]profiles.Shape, len(s.Profiles))
	blocks, serving := profiles.Replay(s.Contract, s.Profiles, s.Demand, s.Reach)
	for i, b := range blocks {
		if p := serving[i]; p >= 0 {
			all[p] = append(all[p], b)
		} else {
			rest = append(rest, b)
		}
	}
	return all, rest
}

// sizes are consecutive sizes of one weight each.
type sizes struct {
	Interval
	each float64 // passes
}

// sizesOf is what a block asks of a role.
func sizesOf(b profiles.Shape, r contract.Role) sizes {
	of := func(s profiles.Shape) int64 {
		return contract.Dim{Role: r}.Asked(int64(s.Batch), int64(s.Seq), int64(s.Past))
	}
	s := sizes{Interval: Interval{of(b), of(b.Last())}}
	s.each = b.Passes() / float64(s.Max-s.Min+1)
	return s
}

// asked are the least, the largest and the usual size (the weighted median) that
// blocks ask of a role.
func asked(blocks []profiles.Shape, r contract.Role) (in Interval, usual int64) {
	all := make([]sizes, len(blocks))
	total := 0.0
	for i, b := range blocks {
		all[i] = sizesOf(b, r)
		if i == 0 {
			in = all[0].Interval
		}
		in.Min, in.Max = min(in.Min, all[i].Min), max(in.Max, all[i].Max)
		total += b.Passes()
	}
	// The passes up to a size grow with it, so the first that is half is searched
	// for: a run of a million lengths is one block.
	lo, hi := in.Min, in.Max
	for lo < hi {
		mid := lo + (hi-lo)/2
		if upTo(all, mid) >= total/2 {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return in, lo
}

func upTo(all []sizes, n int64) (passes float64) {
	for _, s := range all {
		passes += s.each * float64(max(0, min(n, s.Max)-s.Min+1))
	}
	return passes
}
