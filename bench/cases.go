package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// Spread says how scenarios become cases.
type Spread struct {
	Modes    []Mode    // each scenario in each of them; none: what the workload's mode and chunk say
	Depths   []int     // each scenario behind so many columns; none: 0
	Ragged   bool      // rows of a batch have prompts of different length
	Requests []Request // of a trace or a distribution, which become one more case
}

// TraceCase is the name of the case that requests become.
const TraceCase = "trace"

// Cases are those of a workload: each scenario in each batch size that it comes in,
// each mode and each depth. A scenario in several batches is called NAME-bN, behind
// a depth NAME@dN. What cannot be measured is an error of class usage.
func Cases(w profiles.Workload, s Spread) ([]Case, error) {
	if w.PaddedPast {
		return nil, fault.New(fault.Usage, "checking", "the workload", "padded_past: a benchmark has nothing before the prompt", "leave it out")
	}
	modes := s.Modes
	if len(modes) == 0 {
		modes = modesOf(w)
	}
	depths := s.Depths
	if len(depths) == 0 {
		depths = []int{0}
	}
	var scenarios []Case
	for _, sc := range w.Scenarios {
		scenarios = append(scenarios, batches(w, sc)...)
	}
	if len(s.Requests) > 0 {
		scenarios = append(scenarios, ofRequests(w, s.Requests)...)
	}
	var all []Case
	for _, c := range scenarios {
		for _, mode := range modes {
			for _, depth := range depths {
				if depth > 0 && (mode == Uncached || len(c.Requests) > 0) {
					continue // there is no cache, or the trace has its own lengths
				}
				all = append(all, c.in(w, mode, depth, s.Ragged))
			}
		}
	}
	for _, c := range all {
		if err := c.Check(); err != nil {
			return nil, fault.Wrap(fault.Usage, "checking", "the workload", err, "mend the scenario or the flag")
		}
	}
	return all, nil
}

// in is the case in a mode and behind a depth.
func (c Case) in(w profiles.Workload, mode Mode, depth int, ragged bool) Case {
	c.Mode, c.Depth = mode, depth
	if mode == Chunked {
		c.Chunk = w.Chunk
	}
	if depth > 0 {
		c.Name = fmt.Sprintf("%s@d%d", c.Name, depth)
	}
	c.Ragged = ragged && c.Batch > 1 && depth == 0 && len(c.Requests) == 0
	return c
}

// modesOf are the modes that a workload asks for.
func modesOf(w profiles.Workload) []Mode {
	cached := Cached
	if w.Chunk > 0 {
		cached = Chunked
	}
	switch w.Mode {
	case profiles.Uncached:
		return []Mode{Uncached}
	case profiles.Both:
		return []Mode{cached, Uncached}
	}
	return []Mode{cached}
}

// sizes are the batch sizes of requests that state none.
func sizes(w profiles.Workload) []int {
	if len(w.Batches) > 0 {
		return slices.Compact(slices.Sorted(slices.Values(w.Batches)))
	}
	all := []int{1}
	for n := 2; n <= w.BatchMax; n++ {
		all = append(all, n)
	}
	return all
}

// batches is a scenario in every batch size that it comes in.
func batches(w profiles.Workload, s profiles.Scenario) []Case {
	if s.Batch > 0 {
		return []Case{{Scenario: s}}
	}
	list := sizes(w)
	var all []Case
	for _, n := range list {
		c := Case{Scenario: s}
		if c.Batch = n; len(list) > 1 {
			c.Name = fmt.Sprintf("%s-b%d", s.Name, n)
		}
		all = append(all, c)
	}
	return all
}

// ofRequests are the cases of a trace's requests; warm-up takes the longest.
func ofRequests(w profiles.Workload, requests []Request) []Case {
	longest := slices.MaxFunc(requests, func(a, b Request) int { return a.PromptTokens + a.NewTokens - b.PromptTokens - b.NewTokens })
	all := batches(w, profiles.Scenario{Name: TraceCase, PromptTokens: longest.PromptTokens, NewTokens: longest.NewTokens, Weight: 1})
	for i := range all {
		all[i].Requests = requests
	}
	return all
}

// Draw keeps some of the requests that it is told of, each with the same chance,
// the same ones for the same seed. Memory is that of those kept.
type Draw struct {
	Requests []Request
	n, seen  int
	seed     uint64
	r        *rand.Rand
}

// NewDraw keeps n requests.
func NewDraw(n int, seed uint64) *Draw {
	return &Draw{n: n, seed: seed, r: rand.New(rand.NewPCG(seed, 3))}
}

// Size is how many requests it keeps.
func (d *Draw) Size() int { return d.n }

// Seed is what decides which.
func (d *Draw) Seed() uint64 { return d.seed }

// Add tells of a request. One that generates nothing is taken for one of a single
// token: its prefill gives it.
func (d *Draw) Add(prompt, fresh int) {
	r := Request{PromptTokens: prompt, NewTokens: max(fresh, 1)}
	d.seen++
	if len(d.Requests) < d.n {
		d.Requests = append(d.Requests, r)
	} else if i := d.r.IntN(d.seen); i < d.n { // algorithm R (Vitter 1985)
		d.Requests[i] = r
	}
}
