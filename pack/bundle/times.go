package bundle

import (
	"fmt"

	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/stats"
)

// timed is a row of one profile's passes at its optimum: the time to the first
// token of a prefill, the time of a token in decode, a pass of another profile.
func timed(engine string, p profiles.Profile, ms []float64) rows.Row {
	m := stats.Median(ms)
	r := rows.Row{
		Engine: engine, Phase: "prefill", Name: "ttft", Unit: "ms", Value: m.Value, Lo: m.Lo, Hi: m.Hi, N: m.N, Samples: ms, Warnings: m.Warnings,
	}
	switch {
	case p.Seq.Max == 1:
		r.Phase, r.Name = "decode", "tpot"
	case p.Past.Max > 0:
		r.Phase, r.Name = "", "pass"
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf("by trtexec at the optimum of profile %s (batch %d, %d new tokens, %d before), without transfers and sampling",
		p.Name, p.Batch.Opt, p.Seq.Opt, p.Past.Opt))
	return r
}
