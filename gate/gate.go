package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/rows"
)

// Limits are the limits for engines of one precision, by name.
type Limits map[string]float64

// study are the limits that hold where nothing else is said: perplexity within
// 1, 5 and 10 % of PyTorch FP32, those of the study that trtforge answers.
var study = map[string]float64{"fp32": 1.01, "fp16": 1.05, "bf16": 1.05, "int8": 1.10, "w8": 1.10}

// Study adds to limits by precision those of the study where they set none of
// that name. The map given is not changed.
func Study(limits map[string]Limits) map[string]Limits {
	all := map[string]Limits{}
	for precision, l := range limits {
		all[precision] = maps.Clone(l)
	}
	for precision, ratio := range study {
		l := Limits{"ppl_ratio_max": ratio}
		maps.Copy(l, all[precision])
		all[precision] = l
	}
	return all
}

// Status is what a verdict says.
type Status string

// The three things that a verdict can say.
const (
	Pass         Status = "pass"
	Fail         Status = "fail"
	NotEvaluated Status = "not_evaluated"
)

// Verdict is one limit held against one engine.
type Verdict struct {
	Engine    string  `json:"engine"`
	Precision string  `json:"precision"`
	Gate      string  `json:"gate"`            // the limit's name, "ppl_ratio_max"
	Phase     string  `json:"phase,omitempty"` // prefill, decode; empty where neither applies
	Status    Status  `json:"status"`
	Limit     float64 `json:"limit"`
	Value     float64 `json:"value"` // what was held against the limit; 0 where not evaluated
	Lo        float64 `json:"lo"`    // the ends of its 95 % interval; equal to Value where it is exact
	Hi        float64 `json:"hi"`
	Scenario  string  `json:"scenario,omitempty"` // whose figure it is, where the worst of several is held
	Evidence  string  `json:"evidence,omitempty"` // where the value comes from, in words
	Note      string  `json:"note,omitempty"`     // what to know about the engine's figures
	Reason    string  `json:"reason,omitempty"`   // why not evaluated
	Exempt    bool    `json:"exempt,omitempty"`   // not evaluated, and nobody need mind
}

// Names are the limits that may be set, in the order in which they are judged.
func Names() []string {
	var names []string
	for _, s := range specs {
		names = append(names, s.name)
	}
	return names
}

// Check refuses limits that do not exist or cannot be met, all of them at once,
// as errors of class usage.
func Check(precision string, l Limits) error {
	var causes []string
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if !slices.Contains(Names(), name) {
			causes = append(causes, fmt.Sprintf("no gate is called %s", name))
		} else if !(l[name] > 0) {
			causes = append(causes, fmt.Sprintf("%s = %g, want more than 0", name, l[name]))
		}
	}
	if causes == nil {
		return nil
	}
	return fault.New(fault.Usage, "reading", "[gate."+precision+"]", strings.Join(causes, "; "),
		"the gates are "+strings.Join(Names(), ", "))
}

// Evaluate judges every engine by the limits of its precision, engine by engine
// in their order. An engine without limits has no verdicts.
func Evaluate(engines []Engine, limits map[string]Limits, all []rows.Row) []Verdict {
	var verdicts []Verdict
	for _, e := range engines {
		for _, s := range specs {
			limit, set := limits[e.Precision][s.name]
			if !set {
				continue
			}
			for _, phase := range s.phases {
				v := Verdict{Engine: e.Name, Precision: e.Precision, Gate: s.name, Phase: phase, Limit: limit, Status: NotEvaluated, Note: s.note(e)}
				if e.Idle != "" {
					v.Reason = e.Idle
				} else {
					s.judge(&v, e, engines, all)
				}
				verdicts = append(verdicts, v)
			}
		}
	}
	return verdicts
}

// Err is nil, or an error of class gate that names every failed gate with its evidence.
func Err(verdicts []Verdict) error {
	var failed []Verdict
	var causes []string
	for _, v := range verdicts {
		if v.Status == Fail {
			failed = append(failed, v)
			causes = append(causes, v.subject()+" "+v.Gate+": "+v.Evidence)
		}
	}
	if failed == nil {
		return nil
	}
	return fault.New(fault.Gate, "judging", "engines", strings.Join(causes, "; "), next(failed))
}

// subject is the engine and the phase that a verdict is about.
func (v Verdict) subject() string { return strings.TrimSpace(v.Engine + " " + v.Phase) }

// IsSpeed tells whether a limit is about time or memory, which no two runs share.
func IsSpeed(name string) bool {
	return slices.ContainsFunc(specs, func(s spec) bool { return s.name == name && s.measured })
}
