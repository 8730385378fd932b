package search

import (
	"cmp"
	"math"
	"slices"
)

// knapsacks bounds how often the additive estimate is corrected.
const knapsacks = 12

// explore looks for more than the greedy choice: what the additive estimate
// thinks best, the estimate being corrected by each measurement, and then single
// additions and exchanges, until the budget is spent.
func (s *searcher) explore(greedy Point) (Point, error) {
	best := greedy
	room := 1.0
	for range knapsacks {
		subset := s.knapsack(room)
		_, known := s.known[subset.String()]
		if known || s.spent() {
			break
		}
		p, err := s.measure(subset)
		if err != nil {
			return best, err
		}
		if s.holds(p) && better(p, best) < 0 {
			best = p
		}
		// What was estimated to fill the room takes use of the gate.
		room *= min(max(1/max(s.o.Gate.use(p.Measured), 1e-9), 0.5), 2)
	}
	for improved := true; improved && !s.spent(); {
		var err error
		if best, improved, err = s.exchange(best); err != nil {
			return best, err
		}
	}
	p, _, err := s.first(s.points)
	return p, err
}

// cost is the share of the gate that a measurement's means take.
func (g Gate) cost(m Measurement) float64 { return g.share(m.KL.Value, math.Log(m.PPL.Value)) }

// weight is what a candidate is estimated to take of the gate: what it costs
// alone, and next to nothing where that is a gain by chance.
func (s *searcher) weight(i int) float64 { return max(s.o.Gate.cost(s.effects[i].Both), 1e-9) }

// knapsack is the subset that saves the most among those whose weights sum up to
// at most room, by dynamic programming over cells of the room. Weights are
// rounded up to cells, so the sum is never underestimated.
func (s *searcher) knapsack(room float64) Subset {
	const cells = 4096
	n := len(s.candidates)
	most := make([]int64, cells+1) // by cells used at most
	took := make([][]bool, n)
	size := make([]int, n)
	for i, c := range s.candidates {
		took[i] = make([]bool, cells+1)
		size[i] = int(min(math.Ceil(s.weight(i)/room*cells), cells+1))
		for at := cells; at >= size[i]; at-- {
			if with := most[at-size[i]] + c.Saved(); with > most[at] {
				most[at], took[i][at] = with, true
			}
		}
	}
	subset := make(Subset, n)
	at := cells
	for i := n - 1; i >= 0; i-- {
		if took[i][at] {
			subset[i] = true
			at -= size[i]
		}
	}
	return subset
}

// move is a subset near the best one.
type move struct {
	subset Subset
	saved  int64
	weight float64
}

// exchange tries what one step from best saves more: a candidate added, or one
// put in another's place. The lightest by estimate is tried first.
func (s *searcher) exchange(best Point) (Point, bool, error) {
	moves := s.moves(best)
	slices.SortStableFunc(moves, func(a, b move) int {
		return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(b.saved, a.saved))
	})
	for _, m := range moves {
		if _, known := s.known[m.subset.String()]; known {
			continue
		}
		if s.spent() {
			return best, false, nil
		}
		p, err := s.measure(m.subset)
		if err != nil {
			return best, false, err
		}
		if s.holds(p) && better(p, best) < 0 {
			return p, true, nil
		}
	}
	return best, false, nil
}

func (s *searcher) moves(best Point) []move {
	var all []move
	for in, there := range best.Chosen {
		if there {
			continue
		}
		grown := best.Chosen.with(in, true)
		all = append(all, move{grown, s.saved(grown), s.weight(in)})
		for out, there := range best.Chosen {
			if there && s.candidates[in].Saved() > s.candidates[out].Saved() {
				swapped := grown.with(out, false)
				all = append(all, move{swapped, s.saved(swapped), s.weight(in) - s.weight(out)})
			}
		}
	}
	return all
}
