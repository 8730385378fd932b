package lint

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/annotation"
	"github.com/trtforge/trtforge/internal/junit"
	"github.com/trtforge/trtforge/profiles"
)

// Report is the findings about one subject, as people and build servers see them.
type Report struct {
	Source   string         `json:"profiles"` // where the profiles came from
	Backend  Backend        `json:"backend"`
	Reach    profiles.Reach `json:"reach"`
	Count    int            `json:"profile_count"`
	Shapes   int            `json:"demanded_shapes"` // that differ in batch, seq or past
	Lacking  int            `json:"uncovered_shapes"`
	Applied  []string       `json:"rules"` // that could be judged
	Silent   []string       `json:"not_judged,omitempty"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Infos    int            `json:"infos"`
	Findings []Finding      `json:"findings"`
}

// Examine checks a subject and counts; source is how reports call its profiles.
func Examine(s Subject, source string) Report {
	l := newLook(s)
	r := Report{Source: source, Backend: l.Backend, Reach: l.Reach, Count: len(s.Profiles), Shapes: profiles.Distinct(s.Demand), Lacking: profiles.Distinct(l.unserved), Findings: l.check()}
	for _, rule := range Rules() {
		if rule.applies(l) {
			r.Applied = append(r.Applied, rule.ID)
		} else if rule.Only == nil || slices.Contains(rule.Only, l.Backend) {
			r.Silent = append(r.Silent, rule.ID)
		}
	}
	for _, f := range r.Findings {
		switch f.Severity {
		case Error:
			r.Errors++
		case Warning:
			r.Warnings++
		default:
			r.Infos++
		}
	}
	return r
}

// Failed tells whether the profiles are unfit: an error was found or, where
// strict, a warning.
func (r Report) Failed(strict bool) bool { return r.Errors > 0 || strict && r.Warnings > 0 }

// Summary is the counts in one line.
func (r Report) Summary() string {
	text := fmt.Sprintf("%s, %s, %s by %s", plural(r.Errors, "error", "errors"), plural(r.Warnings, "warning", "warnings"),
		plural(r.Infos, "note", "notes"), plural(len(r.Applied), "rule", "rules"))
	if n := len(r.Silent); n > 0 {
		text += fmt.Sprintf(" (%d not judged)", n)
	}
	text += fmt.Sprintf("; %s for %s, reach %s", plural(r.Count, "profile", "profiles"), r.Backend, r.Reach)
	if r.Shapes == 0 {
		text += "; coverage not judged, for want of a workload"
	} else {
		text += fmt.Sprintf("; %d of %s covered", r.Shapes-r.Lacking, plural(r.Shapes, "demanded shape", "demanded shapes"))
	}
	return text
}

// sorted is the findings, the worst first.
func (r Report) sorted() []Finding {
	rank := map[Severity]int{Error: 0, Warning: 1, Info: 2}
	all := slices.Clone(r.Findings)
	slices.SortStableFunc(all, func(a, b Finding) int { return rank[a.Severity] - rank[b.Severity] })
	return all
}

// Write prints the report as text, what a rule is for once; verbose adds why it
// is there.
func (r Report) Write(w io.Writer, verbose bool) error {
	var b strings.Builder
	explained := map[string]bool{}
	for _, f := range r.sorted() {
		if f.Fix == nothing && !verbose {
			continue // counted in the summary, and for who wonders
		}
		_, _ = fmt.Fprintf(&b, "%s %s %s\n", f.ID, f.Severity, f.headline())
		_, _ = fmt.Fprintf(&b, "    fix: %s\n", f.Fix)
		if explained[f.ID] {
			continue
		}
		explained[f.ID] = true
		if verbose {
			_, _ = fmt.Fprintf(&b, "    why: %s\n", f.Explanation)
		}
		if f.Prevents != "" && (verbose || f.Stricter && f.Severity == Error) {
			_, _ = fmt.Fprintf(&b, "    otherwise: %s%s\n", f.Prevents, f.lenient())
		}
	}
	_, _ = fmt.Fprintln(&b, r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

// nothing is the fix of what only explains another tool's warning.
const nothing = "nothing needs to be done"

// headline is the message with its profile, where the message does not say it.
func (f Finding) headline() string {
	if f.Profile < 0 || strings.Contains(f.Message, fmt.Sprintf("profile %d", f.Profile)) {
		return f.Message
	}
	if len(f.Also) == 0 {
		return fmt.Sprintf("profile %d: %s", f.Profile, f.Message)
	}
	text := fmt.Sprintf("profiles %d", f.Profile)
	for i, p := range f.Also {
		if i == maxNamed {
			return fmt.Sprintf("%s and %d more: %s", text, len(f.Also)-i, f.Message)
		}
		text += fmt.Sprintf(", %d", p)
	}
	return text + ": " + f.Message
}

func (f Finding) lenient() string {
	if f.Stricter {
		return " (NVIDIA's builder does not tell)"
	}
	return ""
}

// JUnit is the report as a test suite: a case for each rule, failed where it
// found an error or, where strict, a warning.
func (r Report) JUnit(strict bool) junit.Suite {
	s := junit.Suite{Name: "profiles check " + r.Source}
	for _, rule := range Rules() {
		if !slices.Contains(r.Applied, rule.ID) && !slices.Contains(r.Silent, rule.ID) {
			continue
		}
		c := junit.Case{Class: "profiles." + string(r.Backend), Name: rule.ID + " " + rule.What}
		if slices.Contains(r.Silent, rule.ID) {
			c.Skipped = "it needs a contract, a graph or a workload that was not given"
		}
		var lines []string
		for _, f := range r.Findings {
			if f.ID == rule.ID {
				lines = append(lines, f.headline()+"\n    fix: "+f.Fix)
			}
		}
		text := strings.Join(lines, "\n")
		switch {
		case len(lines) == 0:
		case rule.Severity == Error, strict && rule.Severity == Warning:
			c.Failure, c.Detail = strings.SplitN(lines[0], "\n", 2)[0], text
		default:
			c.Output = text
		}
		s.Cases = append(s.Cases, c)
	}
	return s
}

// Annotate writes the findings as GitHub annotations on file, the worst first.
func (r Report) Annotate(w io.Writer, file string) error {
	levels := map[Severity]annotation.Level{Error: annotation.Error, Warning: annotation.Warning, Info: annotation.Notice}
	for _, f := range r.sorted() {
		if err := annotation.Write(w, levels[f.Severity], file, f.ID, f.headline()+". Fix: "+f.Fix); err != nil {
			return err
		}
	}
	return nil
}
