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

// Engine is what is judged.
type Engine struct {
	Name      string
	Backend   string
	Precision string
	// Idle says why the engine was not run on this machine ("a TensorRT-RTX plan
	// runs on a GPU only"); empty where it was.
	Idle string
	// NoSpeed says why its speed promises nothing ("the CPU computes FP16 in
	// FP32"): speed gates are then not evaluated. Empty elsewhere.
	NoSpeed string
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
	Evidence  string  `json:"evidence,omitempty"` // where the value comes from, in words
	Reason    string  `json:"reason,omitempty"`   // why not evaluated
}

// a spec is a kind of limit and where its figure is found.
type spec struct {
	name   string
	row    string // the row's name; a trailing * stands for any ending
	what   string // the figure in words
	phases []string
	min    bool // the figure must be at least the limit; else at most
	speed  bool // the figure is a ratio of two engines' times, see speed.go
}

var both = []string{"prefill", "decode"}

// specs are all gates there are. A new one is a new line.
var specs = []spec{
	{name: "ppl_ratio_max", row: "ppl_ratio", what: "perplexity over PyTorch FP32's", phases: both},
	{name: "kl_mean_max", row: "kl_top*_mean", what: "mean KL divergence from PyTorch FP32, nats a token", phases: both},
	{name: "speedup_min", row: "e2e", what: "FP32's time over its own", phases: []string{""}, min: true, speed: true},
	{name: "bytes_max", row: "engine_bytes", what: "size of the engine, bytes", phases: []string{""}},
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
				v := Verdict{Engine: e.Name, Precision: e.Precision, Gate: s.name, Phase: phase, Limit: limit, Status: NotEvaluated}
				s.judge(&v, e, engines, all)
				verdicts = append(verdicts, v)
			}
		}
	}
	return verdicts
}

// judge fills in the rest of a verdict.
func (s spec) judge(v *Verdict, e Engine, engines []Engine, all []rows.Row) {
	switch r, ok := find(all, e.Name, v.Phase, s.row); {
	case s.speed:
		speed(v, e, engines, all, s)
	case ok:
		s.decide(v, r, s.what)
	case e.Idle != "":
		v.Reason = e.Idle
	default:
		v.Reason = "not measured"
	}
}

// decide holds a figure against the limit. NaN passes nothing.
func (s spec) decide(v *Verdict, r rows.Row, what string) {
	v.Value, v.Lo, v.Hi, v.Status = r.Value, r.Lo, r.Hi, Fail
	sign, far := "at most", r.Hi > v.Limit
	if s.min {
		sign, far = "at least", r.Lo < v.Limit
	}
	if s.min && r.Value >= v.Limit || !s.min && r.Value <= v.Limit {
		v.Status = Pass
	}
	v.Evidence = fmt.Sprintf("%s: %.6g, asked %s %g", what, r.Value, sign, v.Limit)
	if v.Status == Pass && far {
		v.Evidence += "; the 95 % interval reaches beyond the limit"
	}
}

// find is the first row of that engine and phase that is about the engine as a
// whole and has that name.
func find(all []rows.Row, engine, phase, name string) (rows.Row, bool) {
	before, after, open := strings.Cut(name, "*")
	for _, r := range all {
		if r.Engine != engine || r.Phase != phase || r.Scenario != "" {
			continue
		}
		if r.Name == name || open && strings.HasPrefix(r.Name, before) && strings.HasSuffix(r.Name, after) {
			return r, true
		}
	}
	return rows.Row{}, false
}

// Err is nil, or an error of class gate that names every failed gate with its evidence.
func Err(verdicts []Verdict) error {
	var causes []string
	for _, v := range verdicts {
		if v.Status == Fail {
			causes = append(causes, strings.TrimSpace(v.Engine+" "+v.Phase)+" "+v.Gate+": "+v.Evidence)
		}
	}
	if causes == nil {
		return nil
	}
	return fault.New(fault.Gate, "judging", "engines", strings.Join(causes, "; "),
		"look at the report, then quantize less (fewer layers) or set the limit that you can accept")
}

// IsSpeed tells whether a limit is about time, which no two runs share.
func IsSpeed(name string) bool {
	return slices.ContainsFunc(specs, func(s spec) bool { return s.name == name && s.speed })
}
