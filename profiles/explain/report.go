package explain

import (
	"cmp"
	"slices"
)

// SchemaVersion is the version of the JSON form of a report.
const SchemaVersion = 1

// Report is what a log says.
type Report struct {
	Kind          string     `json:"kind"` // "explanation"
	SchemaVersion int        `json:"schema_version"`
	CreatedBy     string     `json:"created_by"`
	Lines         int        `json:"lines"`
	Bytes         int64      `json:"bytes"`
	Tools         []string   `json:"tools"`             // whose output it is, the one that speaks most first
	Findings      []*Finding `json:"findings"`          // roots first, then by line
	Unknown       []Evidence `json:"unknown,omitempty"` // lines that look like errors and that no pattern knows
	UnknownMore   int        `json:"unknown_more,omitempty"`
}

// Roots are the causes: what no other finding explains.
func (r *Report) Roots() (all []*Finding) {
	for _, f := range r.Findings {
		if f.Root {
			all = append(all, f)
		}
	}
	return all
}

// Root is the first cause; nil where nothing is wrong or nothing is known.
func (r *Report) Root() *Finding {
	if all := r.Roots(); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Failed tells whether the log shows an error, known or not.
func (r *Report) Failed() bool {
	return len(r.Unknown) > 0 || slices.ContainsFunc(r.Findings, func(f *Finding) bool { return f.Severity == Error })
}

// Explained tells whether an error was recognised, or there is none.
func (r *Report) Explained() bool {
	return len(r.Unknown) == 0 || slices.ContainsFunc(r.Findings, func(f *Finding) bool { return f.Severity == Error })
}

func (r *Report) sort() {
	order := func(f *Finding) int {
		if f.Root {
			// A general statement is a root only where there is nothing better.
			return -f.pattern.Rank
		}
		return slices.Index(severities, f.Severity)
	}
	slices.SortStableFunc(r.Findings, func(a, b *Finding) int {
		return cmp.Or(cmp.Compare(order(a), order(b)), cmp.Compare(a.Evidence.Line, b.Evidence.Line))
	})
}
