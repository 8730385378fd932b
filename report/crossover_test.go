package report

import (
	"slices"
	"testing"

	"github.com/trtforge/trtforge/stats"
)

// Where no crossing was measured, the sentence is about what was measured, whatever
// the law says.
func TestBeside(t *testing.T) {
	group := func(size, a, b float64) stats.Group { return stats.Group{Size: size, A: []float64{a}, B: []float64{b}} }
	for want, groups := range map[string][]stats.Group{
		"A is faster than B at every size that was measured":                            {group(1, 3, 2), group(2, 3, 2), group(3, 3, 2)},
		"A is slower than B at every size that was measured":                            {group(1, 1, 2), group(2, 1, 2), group(3, 1, 2)},
		"A is faster than B at 2 of 3 sizes, without a trend that crosses between them": {group(1, 3, 2), group(2, 1, 2), group(3, 3, 2)},
	} {
		if got := beside("A", "B", groups); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// A law that crosses far above what was measured says nothing of what was.
	all := []system{
		{name: "pytorch-fp32", size: []float64{1e6, 1e7, 1e8}, rate: []float64{100, 100, 100}},
		{name: "ortcpu-fp32", size: []float64{1e6, 1e7, 1e8}, rate: []float64{300, 290, 280}},
		{name: "ortcpu-int8", size: []float64{1e6, 1e7, 1e8}, rate: []float64{400, 130, 40}},
	}
	p := &linePanel{}
	said := crossings(all, "decode", p)
	if len(said) != 2 || said[0] != (claim{"decode", "ortcpu-fp32 is faster than pytorch-fp32 at every size that was measured"}) || p.band == nil {
		t.Errorf("%q, band %v", said, p.band)
	}
}

// What holds in several phases is said once.
func TestSentences(t *testing.T) {
	got := sentences([]claim{{"prefill", "a is faster"}, {"prefill", "b is slower"}, {"decode", "a is faster"}, {"uncached decode", "a is faster"}})
	want := []string{"In prefill, decode and uncached decode, a is faster.", "In prefill, b is slower."}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
