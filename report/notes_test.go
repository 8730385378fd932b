package report

import (
	"slices"
	"testing"
)

// Doubts that differ in numbers only are one note; names with digits in them are not
// numbers, and no interval's 95 is joined with another's 90.
func TestNotes(t *testing.T) {
	n := &notes{}
	var got []int
	for _, text := range []string{
		"samples vary by 203 % of their mean", "no 95 % interval: 4 of at least 6 samples", "samples vary by 31 % of their mean",
		"engine-1 is stale", "engine-2 is stale", "no 95 % interval: 5 of at least 6 samples", "samples vary by 31.5 % of their mean",
		"no 95 % interval: 11 of at least 36 samples for the 90 % quantile",
	} {
		got = append(got, n.number(text))
	}
	if want := []int{1, 2, 1, 3, 4, 2, 1, 5}; !slices.Equal(got, want) {
		t.Errorf("numbers %v, want %v", got, want)
	}
	if got, want := n.texts(), []string{
		"samples vary by 31 to 203 % of their mean", "no 95 % interval: 4 to 5 of at least 6 samples",
		"engine-1 is stale", "engine-2 is stale", "no 95 % interval: 11 of at least 36 samples for the 90 % quantile",
	}; !slices.Equal(got, want) {
		t.Errorf("notes %q, want %q", got, want)
	}
}
