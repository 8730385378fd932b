package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
)

// Exhaustive is the number of candidates up to which every subset may be
// measured, so that the answer is exact.
const Exhaustive = 10

// Options say what the search may choose and how long it may measure.
type Options struct {
	Gate    Gate
	Budget  int       // measurements at most; 0 = all that Exhaustive candidates need, six a candidate beyond
	Confirm Evaluator // measures what would be chosen on windows that the search does not see; nil = nothing does
	Effects []Effect  // of the candidates alone, where they are known already
}

// Point is a choice that was measured.
type Point struct {
	Chosen    Subset       `json:"chosen"`
	Saved     int64        `json:"saved_bytes"`
	Measured  Measurement  `json:"measured"`
	Confirmed *Measurement `json:"confirmed,omitempty"` // on windows that the search does not see
}

// Result is what the search chose, and what it saw on the way.
type Result struct {
	Candidates   []Candidate `json:"candidates"`
	Gate         Gate        `json:"gate"`
	Effects      []Effect    `json:"effects"`
	Chosen       Point       `json:"chosen"`
	Greedy       Point       `json:"greedy"`          // by sensitivity alone, confirmed or not
	Final        *Point      `json:"final,omitempty"` // what was chosen, smoothed for itself alone, on windows that the search does not see
	Points       []Point     `json:"points"`          // all that were measured, in order
	Measurements int         `json:"measurements"`    // without those of Confirm
	Exact        bool        `json:"exact"`           // no subset whatever saves more within the gate
}

// Run measures every candidate alone and then chooses the subset that saves the
// most bytes within the gate; of several that save the same, the one with the
// least mean KL divergence; then the one that takes the earlier candidates. The
// empty subset is always within the gate. Errors are the evaluator's.
func Run(ctx context.Context, e Evaluator, candidates []Candidate, o Options, p progress.Counter) (*Result, error) {
	if err := o.Gate.Check(); err != nil {
		return nil, fault.Wrap(fault.Usage, "searching", "", err, "give --ppl-ratio-max or --kl-max")
	}
	s := &searcher{ctx: ctx, e: e, candidates: candidates, o: o, p: p, known: map[string]int{}}
	if err := s.begin(); err != nil {
		return nil, err
	}
	greedy, err := s.greedy()
	if err != nil {
		return nil, err
	}
	exact := len(candidates) <= Exhaustive && s.budget >= 1<<len(candidates)
	var chosen Point
	if exact {
		chosen, err = s.exhaust()
	} else {
		chosen, err = s.explore(greedy)
	}
	if err != nil {
		return nil, err
	}
	if o.Confirm != nil {
		m, err := o.Confirm.Measure(ctx, greedy.Chosen)
		if err != nil {
			return nil, fmt.Errorf("confirming the greedy choice: %w", err)
		}
		greedy.Confirmed = &m
	}
	return &Result{Candidates: candidates, Gate: o.Gate, Effects: s.effects, Chosen: chosen, Greedy: greedy,
		Points: s.points, Measurements: len(s.points), Exact: exact}, nil
}

// Retreat gives up what was chosen for the next best that was measured within the
// gate, in the end for nothing.
func (r *Result) Retreat() {
	next := r.Points[0] // nothing is measured first
	for _, p := range r.Points {
		if r.Gate.Holds(p.Measured) && better(r.Chosen, p) < 0 && better(p, next) < 0 {
			next = p
		}
	}
	r.Chosen, r.Exact = next, false
}

// searcher is one search; everything that it measures, it measures once.
type searcher struct {
	ctx        context.Context
	e          Evaluator
	candidates []Candidate
	o          Options
	p          progress.Counter
	budget     int

	effects []Effect
	points  []Point
	known   map[string]int // subset -> its point
}

// begin measures nothing, everything, and each candidate alone.
func (s *searcher) begin() error {
	n := len(s.candidates)
	if s.budget = s.o.Budget; s.budget == 0 {
		s.budget = 6 * n
		if n <= Exhaustive {
			s.budget = 1 << n
		}
	}
	s.p.SetMax(int64(s.budget))
	if _, err := s.measure(make(Subset, n)); err != nil {
		return err
	}
	if s.effects = s.o.Effects; s.effects != nil && len(s.effects) != n {
		return fmt.Errorf("searching: %d effects of %d candidates", len(s.effects), n)
	}
	known := s.effects != nil
	for i, c := range s.candidates {
		alone := make(Subset, n).with(i, true)
		if known {
			s.add(alone, s.effects[i].Both)
			continue
		}
		point, err := s.measure(alone)
		if err != nil {
			return fmt.Errorf("measuring node %q: %w", c.Node, err)
		}
		s.effects = append(s.effects, Effect{Node: c.Node, Both: point.Measured})
	}
	return nil
}

// measure is the point of a subset, measured at most once.
func (s *searcher) measure(chosen Subset) (Point, error) {
	if i, ok := s.known[chosen.String()]; ok {
		return s.points[i], nil
	}
	if err := s.ctx.Err(); err != nil {
		return Point{}, err
	}
	m, err := s.e.Measure(s.ctx, chosen)
	if err != nil {
		return Point{}, err
	}
	s.p.Set(int64(len(s.points) + 1))
	return s.add(chosen, m), nil
}

func (s *searcher) add(chosen Subset, m Measurement) Point {
	p := Point{Chosen: chosen, Saved: s.saved(chosen), Measured: m}
	s.known[chosen.String()] = len(s.points)
	s.points = append(s.points, p)
	return p
}

func (s *searcher) saved(chosen Subset) int64 { return saved(s.candidates, chosen) }

func saved(candidates []Candidate, chosen Subset) int64 {
	var n int64
	for i, in := range chosen {
		if in {
			n += candidates[i].Saved()
		}
	}
	return n
}

// Measure measures given subsets without choosing any.
func Measure(ctx context.Context, e Evaluator, candidates []Candidate, subsets []Subset) ([]Point, error) {
	points := make([]Point, len(subsets))
	for i, subset := range subsets {
		m, err := e.Measure(ctx, subset)
		if err != nil {
			return nil, fmt.Errorf("measuring a choice of %d products: %w", subset.Count(), err)
		}
		points[i] = Point{Chosen: subset, Saved: saved(candidates, subset), Measured: m}
	}
	return points, nil
}

// spent tells whether the budget is used up.
func (s *searcher) spent() bool { return len(s.points) >= s.budget }

// holds tells whether a point is within the gate; nothing at all always is.
func (s *searcher) holds(p Point) bool { return p.Chosen.Count() == 0 || s.o.Gate.Holds(p.Measured) }

// better orders points within the gate: by what they save, then by what they
// cost, then by their candidates.
func better(a, b Point) int {
	return cmp.Or(
		cmp.Compare(b.Saved, a.Saved),
		cmp.Compare(a.Measured.KL.Value, b.Measured.KL.Value),
		cmp.Compare(b.Chosen.String(), a.Chosen.String()))
}

// first is the best of the points that are within the gate, and confirmed where
// that is asked for. There is one wherever the empty subset is among them.
func (s *searcher) first(points []Point) (p Point, found bool, err error) {
	within := slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return !s.holds(p) })
	slices.SortFunc(within, better)
	for _, p := range within {
		if s.o.Confirm == nil {
			return p, true, nil
		}
		m, err := s.o.Confirm.Measure(s.ctx, p.Chosen)
		if err != nil {
			return p, false, fmt.Errorf("confirming the choice: %w", err)
		}
		if p.Confirmed = &m; p.Chosen.Count() == 0 || s.o.Gate.Holds(m) {
			return p, true, nil
		}
	}
	return p, false, nil
}

// greedy takes candidates in the order of the divergence that they cause alone, passing over
// those that break the gate.
func (s *searcher) greedy() (Point, error) {
	order := make([]int, len(s.candidates))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(s.effects[a].Both.KL.Value, s.effects[b].Both.KL.Value)
	})
	best := s.points[0]
	for _, i := range order {
		p, err := s.measure(best.Chosen.with(i, true))
		if err != nil {
			return best, err
		}
		if s.holds(p) {
			best = p
		}
	}
	return best, nil
}
