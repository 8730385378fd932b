package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/gate"
)

// gateLine is one verdict as a line of a table.
type gateLine struct {
	Engine, Class, Gate, Phase, Limit, Value, Interval, Evidence, Note, Status, StatusClass string
}

// gateLines are the verdicts of a status.
func (d *Data) gateLines(status gate.Status) []gateLine {
	precision := map[string]string{}
	for _, e := range d.Engines {
		precision[e.Name] = string(e.Manifest.Precision)
	}
	var all []gateLine
	for _, v := range d.Verdicts {
		if v.Status != status {
			continue
		}
		l := gateLine{Engine: v.Engine, Class: class(precision[v.Engine]), Gate: v.Gate, Phase: v.Phase, Limit: sign(v.Gate) + gateFigure(v.Gate, v.Limit, func(v float64) string { return fmt.Sprintf("%g", v) }),
			Value: gateFigure(v.Gate, v.Value, gateNumber), Evidence: v.Evidence, Note: v.Note, Status: string(v.Status), StatusClass: string(v.Status)}
		if v.Scenario != "" {
			l.Phase = strings.TrimPrefix(strings.TrimSpace(v.Phase+", "+v.Scenario), ", ")
		}
		if bounded(v.Lo, v.Hi) && v.Lo != v.Hi {
			l.Interval = between(gateFigure(v.Gate, v.Lo, gateNumber), gateFigure(v.Gate, v.Hi, gateNumber))
		}
		all = append(all, l)
	}
	return all
}

// sign says on which side of its limit a figure must be, which the names of
// gates end with.
func sign(gate string) string {
	if strings.HasSuffix(gate, "_min") {
		return "≥ "
	}
	return "≤ "
}

// gateFigure is a figure with its gate's unit.
func gateFigure(gate string, v float64, plain func(float64) string) string {
	switch gate {
	case "bytes_max", "memory_max":
		return size(v)
	case "ttft_max", "tpot_max":
		return milliseconds(v)
	}
	return plain(v)
}

// gateNumber has enough digits to be told from one, where most ratios are.
func gateNumber(v float64) string {
	switch {
	case math.Abs(v) < 0.1 || math.Abs(v) >= 1e4:
		return scientific(v)
	case math.Abs(v-1) < 0.01:
		return fmt.Sprintf("%.6f", v)
	}
	return minus(fmt.Sprintf("%.4f", v))
}

// missing is a reason why gates were not evaluated, and which.
type missing struct {
	Reason string
	What   []string // "rtx-int8: ppl_ratio_max (prefill, decode), speedup_min"
}

func (d *Data) missing() []missing {
	type at struct{ reason, engine string }
	var order []string
	engines := map[string][]string{}
	gates := map[at][]string{}
	note := func(reason, engine, what string) {
		if !slices.Contains(order, reason) {
			order = append(order, reason)
		}
		if !slices.Contains(engines[reason], engine) {
			engines[reason] = append(engines[reason], engine)
		}
		if what != "" && !slices.Contains(gates[at{reason, engine}], what) {
			gates[at{reason, engine}] = append(gates[at{reason, engine}], what)
		}
	}
	for _, v := range d.Verdicts {
		if v.Status == gate.NotEvaluated {
			note(v.Reason, v.Engine, v.Gate)
		}
	}
	for _, e := range d.Engines {
		if e.Idle != "" && !slices.Contains(engines[e.Idle], e.Name) {
			note(e.Idle, e.Name, "speed and accuracy")
		}
	}
	var all []missing
	for _, reason := range order {
		m := missing{Reason: upperFirst(reason)}
		for _, e := range engines[reason] {
			m.What = append(m.What, e+": "+strings.Join(gates[at{reason, e}], ", "))
		}
		all = append(all, m)
	}
	return all
}

// gateNotes are what to know about the figures that gates were held to.
func (d *Data) gateNotes() []string {
	var all []string
	for _, v := range d.Verdicts {
		if v.Note != "" && v.Status != gate.NotEvaluated && !slices.Contains(all, upperFirst(v.Note)) {
			all = append(all, upperFirst(v.Note))
		}
	}
	return all
}
