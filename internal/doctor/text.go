package doctor

import (
	"fmt"
	"io"
	"strings"
)

// marks stand before a check; the word says it too, for those who see no colour
// or no Unicode.
var marks = map[Status]string{OK: "ok", Missing: "missing", Warning: "warning"}

// Write prints the report for people.
func (r Report) Write(w io.Writer) error {
	var b strings.Builder
	count := map[Status]int{}
	for _, c := range r.Checks {
		count[c.Status]++
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
	fmt.Fprintf(&b, "\n%d ok, %d to heed, %d missing\n", count[OK], count[Warning], count[Missing])
	_, err := io.WriteString(w, b.String())
	return err
}
