package lint

import "github.com/trtforge/trtforge/profiles"

// served is the demand by the profile that holds it first, as a runtime that
// tries them in order finds it.
func served(s Subject) [][]profiles.Shape {
	all := make([][]profiles.Shape, len(s.Profiles))
	rest := s.Demand
	for i := range s.Profiles {
		if i > 0 && s.Reach == profiles.First {
			break
		}
		var left []profiles.Shape
		for _, g := range profiles.Check(s.Contract, s.Profiles[i:i+1], rest, profiles.Any) {
			left = append(left, g.Shape)
		}
		all[i] = without(rest, left)
		rest = left
	}
	return all
}

// without is all but some, of which the order is the same.
func without(all, some []profiles.Shape) (rest []profiles.Shape) {
	for _, s := range all {
		if len(some) > 0 && some[0] == s {
			some = some[1:]
			continue
		}
		rest = append(rest, s)
	}
	return rest
}

// count is how many shapes are demanded.
func count(demand []profiles.Shape) int { return len(demand) }
