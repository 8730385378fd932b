package lint

import (
	"fmt"
	"strings"

	"github.com/trtforge/trtforge/profiles"
)

// broken makes a rule's function of the violations of one kind: one finding for
// all inputs and all corners of which the same is true.
func broken(kind profiles.Breach) func(*look) []Finding {
	return func(l *look) []Finding {
		type place struct {
			profile, dim int
			said         string
		}
		var order []place
		inputs := map[place][]string{}
		for _, v := range join(l.violations, kind) {
			p := place{v.Profile, v.Dim, strings.TrimPrefix(v.Message, v.Input)}
			if inputs[p] == nil {
				order = append(order, p)
			}
			inputs[p] = append(inputs[p], v.Input)
		}
		var all []Finding
		for _, p := range order {
			all = append(all, Finding{Profile: p.profile, Inputs: inputs[p], Dim: p.dim, Message: several(inputs[p]) + p.said})
		}
		return all
	}
}

// join puts what is said of one input and dimension at min, opt and max into one
// violation.
func join(all []profiles.Violation, kind profiles.Breach) []profiles.Violation {
	type place struct {
		profile, dim int
		input        string
	}
	at := map[place]int{}
	var joined []profiles.Violation
	for _, v := range all {
		if v.Breach != kind {
			continue
		}
		p := place{v.Profile, v.Dim, v.Input}
		if i, known := at[p]; known {
			said := strings.TrimPrefix(v.Message, v.Input)
			joined[i].Message += ";" + strings.TrimPrefix(said, fmt.Sprintf(" dimension %d:", v.Dim))
			continue
		}
		at[p] = len(joined)
		joined = append(joined, v)
	}
	return joined
}

// several names the first of some inputs and counts the others.
func several(inputs []string) string {
	if len(inputs) > 1 {
		return fmt.Sprintf("%s (and %d more)", inputs[0], len(inputs)-1)
	}
	return inputs[0]
}

// plural is a count and its noun.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
