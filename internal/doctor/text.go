package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// marks stand before a check; the word says it too, for those who see no colour
// or no Unicode.
var marks = map[Status]string{OK: "ok", Missing: "missing", Warning: "warning"}

// Write prints the report for people.
func (r Report) Write(w io.Writer) error { return r.WriteNeeded(w, nil) }

// WriteNeeded prints the checks of these names, in their order, and counts the rest;
// with no name it prints them all.
func (r Report) WriteNeeded(w io.Writer, names []string) error {
	var b strings.Builder
	var shown, rest []Check
	for _, c := range r.Checks {
		if len(names) == 0 || slices.Contains(names, c.ID) {
			shown = append(shown, c)
		} else {
			rest = append(rest, c)
		}
	}
	if len(names) > 0 {
		slices.SortStableFunc(shown, func(a, b Check) int { return slices.Index(names, a.ID) - slices.Index(names, b.ID) })
	}
	for _, c := range shown {
		head := strings.TrimSpace(c.What + "  " + c.Version)
		fmt.Fprintf(&b, "%-8s %-12s %s\n", marks[c.Status], c.ID, head)
		const indent = "                      "
		for _, d := range c.Detail {
			b.WriteString(indent + d + "\n")
		}
		if c.Status == Missing && c.Enables != "" {
			b.WriteString(indent + "would enable: " + c.Enables + "\n")
		} else if c.Status == OK && c.ID != "environment" {
			b.WriteString(indent + "enables: " + c.Enables + "\n")
		}
		if c.Fix != "" {
			b.WriteString(indent + "to do: " + c.Fix + "\n")
		}
	}
	b.WriteString("\n" + counted(shown) + "\n")
	if len(rest) > 0 {
		b.WriteString("not asked for: " + counted(rest) + "; trtforge doctor shows them\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// counted is how many checks ended how.
func counted(checks []Check) string {
	count := map[Status]int{}
	for _, c := range checks {
		count[c.Status]++
	}
	return fmt.Sprintf("%d ok, %d to heed, %d missing", count[OK], count[Warning], count[Missing])
}
