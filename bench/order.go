package bench

import "math/rand/v2"

// Turn is what one engine's process measures while the others stand still.
type Turn struct {
	Round       int
	Engine      string
	Case        int // index of the case
	Repetitions int
}

// Order spreads repetitions over turns: in every round each engine has one turn at
// each case, all of them in an order that the seed decides and that differs from
// round to round. Drift of the machine then falls on all engines and cases alike,
// and only one process runs at a time. share is the repetitions of a round; a turn
// without any is left out.
func Order(seed uint64, engines []string, cases int, share []int) []Turn {
	r := rand.New(rand.NewPCG(seed, 1))
	var turns []Turn
	for round, n := range share {
		for _, i := range r.Perm(len(engines) * cases) {
			if n > 0 {
				turns = append(turns, Turn{Round: round, Engine: engines[i/cases], Case: i % cases, Repetitions: n})
			}
		}
	}
	return turns
}

// Share spreads n repetitions over rounds as evenly as it goes, more in the first.
func Share(n, rounds int) []int {
	rounds = max(1, min(n, rounds))
	all := make([]int, rounds)
	for i := range n {
		all[i%rounds]++
	}
	return all
}

// Shuffle puts turns into an order that the seed decides.
func Shuffle(seed uint64, turns []Turn) []Turn {
	rand.New(rand.NewPCG(seed, 1)).Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	return turns
}
