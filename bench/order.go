package bench

import "math/rand/v2"

// Turn is what one engine's process measures before the next engine's turn.
type Turn struct {
	Round     int
	Engine    string
	Scenarios []string // in this order
}

// Order gives every engine one turn a round, in an order that the seed decides
// and that differs from round to round, with the scenarios shuffled inside each
// turn. Drift of the machine then falls on all engines alike, and only one
// process runs at a time.
func Order(seed uint64, engines, scenarios []string, rounds int) []Turn {
	r := rand.New(rand.NewPCG(seed, 1))
	var turns []Turn
	for round := range rounds {
		for _, e := range r.Perm(len(engines)) {
			t := Turn{Round: round, Engine: engines[e]}
			for _, s := range r.Perm(len(scenarios)) {
				t.Scenarios = append(t.Scenarios, scenarios[s])
			}
			turns = append(turns, t)
		}
	}
	return turns
}
