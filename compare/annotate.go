package compare

import (
	"fmt"
	"io"

	"github.com/trtforge/trtforge/internal/annotation"
)

// Annotate writes GitHub annotations: errors for what broke a limit, warnings for
// what else regressed, and a notice of the whole.
func (c *Comparison) Annotate(w io.Writer, broken []Breach) error {
	told := map[string]bool{}
	for _, b := range broken {
		told[b.Change.Label()] = true
		if err := annotation.Write(w, annotation.Error, "", "regression", b.Change.Label()+": "+b.Why); err != nil {
			return err
		}
	}
	for _, one := range c.Changes {
		if one.Class != Regressed || told[one.Label()] {
			continue
		}
		if err := annotation.Write(w, annotation.Warning, "", "regression", fmt.Sprintf("%s: %s", one.Label(), one.ratio())); err != nil {
			return err
		}
	}
	return annotation.Write(w, annotation.Notice, "", "comparison", c.Sentence())
}
