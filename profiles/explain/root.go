package explain

import (
	"slices"
)

// slack is how many lines after an effect its cause may stand where it may stand
// there at all, see [before]: a runtime flushes its own log when it likes, and a
// traceback begins before the message that ends it.
const slack = 200

// before tells whether c stands where a cause of f may stand: above it. Below it
// may stand the cause of what says only that something failed, as tools print it
// around their messages, one that f's pattern names by its id, and one about the
// same input.
func before(c, f *Finding) bool {
	if c.Evidence.Line <= f.Evidence.Line {
		return true
	}
	same := f.Fields["input"] != "" && f.Fields["input"] == c.Fields["input"]
	return c.Evidence.Line <= f.last+slack && (same || f.pattern.Rank == rankGeneral || slices.Contains(f.pattern.Follows, c.ID))
}

// reduce finds which findings explain others. One is explained by a finding that
// its pattern says it follows, and by any error of a higher rank, if that stands
// before it; what is left of
// the errors are roots. Where there is no error, warnings are.
func reduce(all []*Finding) {
	for _, f := range all {
		if f.Severity != Error && f.Severity != Warning {
			continue
		}
		if cause := causeOf(f, all); cause != nil {
			f.Follows = cause.ID
		}
	}
	cut(all)
	level := Warning
	if slices.ContainsFunc(all, func(f *Finding) bool { return f.Severity == Error }) {
		level = Error
	}
	for _, f := range all {
		// A warning that an error follows is the root of it, and so a root.
		f.Root = f.Follows == "" && (f.Severity == level || f.Severity == Warning && leads(f, all))
	}
}

// causeOf is the finding that explains f best: of the highest rank, then the one
// that f's pattern names first, then the nearest above.
func causeOf(f *Finding, all []*Finding) (best *Finding) {
	bestRank, bestNamed := 0, 0
	for _, c := range all {
		if c.ID == f.ID || c.Severity == Benign || c.Severity == Info || !before(c, f) {
			continue
		}
		named := len(f.pattern.Follows) - slices.IndexFunc(f.pattern.Follows, func(s string) bool { return s == c.ID || s == string(c.Class) })
		if named > len(f.pattern.Follows) {
			named = 0
		}
		higher := c.Severity == Error && f.Severity == Error && c.pattern.Rank > f.pattern.Rank
		if named == 0 && !higher {
			continue
		}
		if best == nil || c.pattern.Rank > bestRank || c.pattern.Rank == bestRank && named > bestNamed {
			best, bestRank, bestNamed = c, c.pattern.Rank, named
		}
	}
	return best
}

// cut opens circles of findings that name each other: the first in the log is
// the root.
func cut(all []*Finding) {
	byID := map[string]*Finding{}
	for _, f := range all {
		if byID[f.ID] == nil {
			byID[f.ID] = f
		}
	}
	for _, f := range all {
		at := byID[f.Follows]
		for range all {
			if at == nil {
				break
			}
			if at.ID == f.ID {
				f.Follows = ""
				break
			}
			at = byID[at.Follows]
		}
	}
}

func leads(f *Finding, all []*Finding) bool {
	return slices.ContainsFunc(all, func(g *Finding) bool { return g.Severity == Error && g.Follows == f.ID })
}
