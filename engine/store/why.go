package store

import (
	"maps"
	"slices"
)

// Difference is one input in which two engines differ; a side that lacks it is
// empty.
type Difference struct {
	Input string `json:"input"`
	Want  string `json:"want"` // of the engine asked for
	Have  string `json:"have"` // of the one in the store
}

// Why finds the engine whose inputs are nearest to those given, by the number of
// inputs that differ, and how they differ. No difference is a hit. nearest is nil
// in an empty store.
func (s *Store) Why(inputs map[string]string) (nearest *Entry, diff []Difference, err error) {
	return s.Nearest(inputs, "")
}

// Nearest is Why among the engines but one.
func (s *Store) Nearest(inputs map[string]string, but string) (nearest *Entry, diff []Difference, err error) {
	all, err := s.List()
	if err != nil {
		return nil, nil, err
	}
	for _, l := range all {
		if l.Damage != nil || l.Key == but {
			continue
		}
		d := differences(inputs, l.Entry.Manifest.Inputs)
		if nearest == nil || len(d) < len(diff) {
			nearest, diff = l.Entry, d
		}
	}
	return nearest, diff, nil
}

func differences(want, have map[string]string) []Difference {
	names := maps.Clone(want)
	maps.Copy(names, have)
	var all []Difference
	for _, k := range slices.Sorted(maps.Keys(names)) {
		if want[k] != have[k] {
			all = append(all, Difference{Input: k, Want: want[k], Have: have[k]})
		}
	}
	return all
}
