package lint

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/golden"
	"github.com/trtforge/trtforge/internal/testenv"
)

const rulesHead = `# Rules of profiles check

Each finding of ` + "`trtforge profiles check`" + ` has an id. An error fails sooner or later, a
warning wastes or surprises, an info is worth knowing. *Stricter* marks what NVIDIA's
builder accepts: ` + "`go test ./profiles/lint -run NVIDIA -v`" + ` holds that against the builder
and prints how often each rule was alone. Written by
` + "`go test ./profiles/lint -run Documented -update`" + ` from the rules themselves.
`

// document is docs/rules.md.
func document() string {
	var b strings.Builder
	b.WriteString(rulesHead)
	for _, part := range []struct {
		title string
		rules []Rule
	}{
		{"Names and syntax", nameRules}, {"Ranges", rangeRules}, {"Sizes that belong together", jointRules}, {"Demand", demandRules},
		{"Waste", wasteRules}, {"Backends", backendRules}, {"Graphs", graphRules},
	} {
		_, _ = fmt.Fprintf(&b, "\n## %s\n\n| id | severity | what | why | fix | prevents |\n|---|---|---|---|---|---|\n", part.title)
		for _, r := range part.rules {
			severity := string(r.Severity)
			if r.Stricter {
				severity += ", stricter"
			}
			what := r.What
			if r.Only != nil {
				var names []string
				for _, o := range r.Only {
					names = append(names, string(o))
				}
				what += " (" + strings.Join(names, ", ") + ")"
			}
			_, _ = fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.ID, severity, what, r.Why, r.Fix, r.Prevents)
		}
	}
	return b.String()
}

func TestDocumented(t *testing.T) {
	golden.Check(t, filepath.Join(testenv.Root(t), "docs", "rules.md"), document())
}

// Every rule says all that a finding needs, once, in words that fit a table.
func TestRulesAreWhole(t *testing.T) {
	id := regexp.MustCompile(`^TF[1-6]\d\d$`)
	last := ""
	for _, r := range Rules() {
		if !id.MatchString(r.ID) || r.ID <= last {
			t.Errorf("id %q after %q", r.ID, last)
		}
		last = r.ID
		if r.What == "" || r.Why == "" || r.Fix == "" || r.Prevents == "" || r.check == nil {
			t.Errorf("%s lacks something", r.ID)
		}
		if r.Severity != Error && r.Severity != Warning && r.Severity != Info {
			t.Errorf("%s has severity %q", r.ID, r.Severity)
		}
		for _, text := range []string{r.What, r.Why, r.Fix, r.Prevents} {
			if strings.ContainsAny(text, "|\n") || strings.HasSuffix(text, ".") {
				t.Errorf("%s: %q does not fit a table", r.ID, text)
			}
		}
	}
}
