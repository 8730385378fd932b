package gate

import (
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// Flaws are verdicts on what no engine may have, whatever its limits: logits that
// are no numbers, rows that their neighbours or their padding change.
func Flaws(engines []Engine, all []rows.Row) []Verdict {
	var verdicts []Verdict
	for _, e := range engines {
		for _, f := range validate.Flaws(all, e.Name) {
			verdicts = append(verdicts, Verdict{
				Engine: e.Name, Precision: e.Precision, Gate: f.Name, Phase: f.Phase, Status: Fail,
				Limit: f.Limit, Value: f.Value, Lo: f.Value, Hi: f.Value, Evidence: f.Says,
			})
		}
	}
	return verdicts
}
