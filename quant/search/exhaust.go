package search

import "slices"

// exhaust measures subsets from the one that saves the most downwards, until some
// of one size hold the gate: nothing smaller can be chosen.
func (s *searcher) exhaust() (Point, error) {
	n := len(s.candidates)
	type class struct {
		saved   int64
		subsets []Subset
	}
	classes := map[int64][]Subset{}
	for mask := range 1 << n {
		subset := make(Subset, n)
		for i := range subset {
			subset[i] = mask>>i&1 == 1
		}
		classes[s.saved(subset)] = append(classes[s.saved(subset)], subset)
	}
	var all []class
	for saved, subsets := range classes {
		all = append(all, class{saved, subsets})
	}
	slices.SortFunc(all, func(a, b class) int { return int(min(max(b.saved-a.saved, -1), 1)) })
	for _, c := range all {
		var points []Point
		for _, subset := range c.subsets {
			p, err := s.measure(subset)
			if err != nil {
				return Point{}, err
			}
			points = append(points, p)
		}
		if p, found, err := s.first(points); err != nil || found {
			return p, err
		}
	}
	return s.points[0], nil // nothing saves a byte
}
