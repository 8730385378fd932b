package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
)

// Left is an engine that is not considered, and why.
type Left struct {
	Engine string `json:"engine"`
	Reason string `json:"reason"`
}

// standing says why an engine may not be deployed; empty where it may: it ran,
// failed no gate, and left none open but those that it is exempt from.
func standing(e Engine, verdicts []Verdict) string {
	if e.Idle != "" {
		return e.Idle
	}
	passed := false
	for _, v := range verdicts {
		switch {
		case v.Engine != e.Name:
		case v.Status == Fail:
			return "it failed " + strings.TrimSpace(v.Gate+" "+v.Phase)
		case v.Status == NotEvaluated && !v.Exempt:
			return fmt.Sprintf("%s is not evaluated: %s", strings.TrimSpace(v.Gate+" "+v.Phase), v.Reason)
		case v.Status == Pass:
			passed = true
		}
	}
	if !passed {
		return "no gate was set for it"
	}
	return ""
}

// absent says why an engine that may be deployed has no time in a scenario; empty
// where it has one.
func absent(engine, scenario string, all []rows.Row) (time rows.Row, reason string) {
	if f, ok := rows.Find(all, engine, scenario, "", "failed"); ok && f.Value > 0 {
		reason = fmt.Sprintf("%.0f of %d requests of %s failed", f.Value, f.N, scenario)
		if len(f.Warnings) > 0 {
			reason += ": " + f.Warnings[0]
		}
		return time, reason
	}
	time, ok := rows.Find(all, engine, scenario, "", "e2e")
	switch {
	case !ok || !(time.Value > 0):
		return time, scenario + " was not measured"
	case onHost(time):
		return time, "its cache goes over the host in every step, which nobody would deploy (kv: host)"
	}
	return time, ""
}

// onHost tells whether a figure was taken with the cache copied to the host and
// back in every step: how an engine runs where the runtime cannot keep it.
func onHost(r rows.Row) bool {
	return string(r.Extra["kv"]) == `"host"` || slices.ContainsFunc(r.Warnings, func(w string) bool { return strings.Contains(w, bench.KVHost) })
}
