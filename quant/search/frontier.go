package search

import (
	"cmp"
	"slices"
)

// Frontier are the points that no other beats: none saves as much and has a lower
// mean KL divergence. They are ordered by what they save, the least first.
func Frontier(points []Point) []Point {
	sorted := slices.Clone(points)
	slices.SortFunc(sorted, better)
	var all []Point
	for _, p := range sorted {
		if len(all) == 0 || cmp.Less(p.Measured.KL.Value, all[len(all)-1].Measured.KL.Value) {
			all = append(all, p)
		}
	}
	slices.Reverse(all)
	return all
}
