package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// judged are the patterns that cannot tell a shape that no profile holds from a
// profile that was not selected: the ranges, of the log or of a plan, can.
var judged = []string{"shape-outside-profile", "shape-refused"}

// listed is what a profile takes of an input, as a message says it.
type listed struct {
	profile  int
	min, max []int64
}

var (
	rangeForm = regexp.MustCompile(`profile (\d+): \[([-\d, x]+)\]\.\.\[([-\d, x]+)\]`)
	otherForm = regexp.MustCompile(`profile (\d+) takes (\S+) to ([-\dx]+)`)
)

// otherRanges writes the ranges of further profiles as words.
func otherRanges(raw string) string {
	var all []string
	for _, m := range rangeForm.FindAllStringSubmatch(raw, -1) {
		all = append(all, fmt.Sprintf("profile %s takes %s to %s", m[1], shapeText(m[2]), shapeText(m[3])))
	}
	return strings.Join(all, ", ")
}

// ranges are those that the message lists.
func (f *Finding) ranges() (all []listed) {
	add := func(profile, lo, hi string) {
		n, err := strconv.Atoi(profile)
		if l := (listed{n, parseShape(lo), parseShape(hi)}); err == nil && l.min != nil && l.max != nil {
			all = append(all, l)
		}
	}
	add(f.Fields["profile"], f.Fields["min"], f.Fields["max"])
	for _, m := range otherForm.FindAllStringSubmatch(f.Fields["others"], -1) {
		add(m[1], m[2], m[3])
	}
	return all
}

// several tells whether the message lists more profiles than one.
func (f *Finding) several() bool { return f.Fields["others"] != "" && len(f.ranges()) > 1 }

// judge decides by the ranges of a log that lists several.
func (f *Finding) judge() {
	all, shape := f.ranges(), parseShape(f.Fields["dims"])
	if !f.several() || shape == nil {
		return
	}
	near := all[0]
	for _, l := range all {
		if inside(shape, l.min, l.max) {
			f.elsewhere(f.Fields["dims"], l.profile)
			return
		}
		if d, ok := steps(shape, l.min, l.max); ok {
			if least, known := steps(shape, near.min, near.max); !known || d < least {
				near = l
			}
		}
	}
	f.nobody(f.Fields["dims"], shape, near)
}

// nobody says that no profile holds the shape; near is the one to widen.
func (f *Finding) nobody(words string, shape []int64, near listed) {
	if !slices.Contains(judged, f.ID) {
		return
	}
	f.Title = "A shape lies outside every optimization profile"
	if want := needs(shape, near); !f.own && want != "" {
		f.Fix = fmt.Sprintf("no profile holds %s for %s, so none can be selected: rebuild with %s in profile %d, and so for all inputs that share the size", words, f.Fields["input"], want, near.profile)
	}
}

// elsewhere says that another profile than the selected one holds the shape.
func (f *Finding) elsewhere(words string, profile int) {
	if slices.Contains(judged, f.ID) && !f.own {
		f.Fix = fmt.Sprintf("select profile %d, which holds %s for %s, before setting shapes (setOptimizationProfileAsync, trtexec --useProfile=%d), or keep one context for each profile", profile, words, f.Fields["input"], profile)
	}
}

// needs are the ends that must move for a range to hold a shape.
func needs(shape []int64, l listed) string {
	if len(l.min) != len(shape) || len(l.max) != len(shape) {
		return ""
	}
	var all []string
	for i, n := range shape {
		switch {
		case n > l.max[i]:
			all = append(all, fmt.Sprintf("a max of %d in dimension %d", n, i))
		case n < l.min[i]:
			all = append(all, fmt.Sprintf("a min of %d in dimension %d", n, i))
		}
	}
	return strings.Join(all, " and ")
}

// steps is how far a shape is from a range; false where the ranks differ.
func steps(shape, lo, hi []int64) (n int64, ok bool) {
	if len(lo) != len(shape) || len(hi) != len(shape) {
		return 0, false
	}
	for i, size := range shape {
		n += max(lo[i]-size, size-hi[i], 0)
	}
	return n, true
}

func inside(shape, lo, hi []int64) bool {
	n, ok := steps(shape, lo, hi)
	return ok && n == 0 && len(shape) > 0
}
