package gate

import (
	"fmt"
	"math"

	"github.com/trtforge/trtforge/rows"
)

// speed judges how much faster an engine is than the FP32 engine of its
// backend: the geometric mean over scenarios of the ratio of median times. Times
// of different backends, and often of different machines, are never compared.
func speed(v *Verdict, e Engine, engines []Engine, all []rows.Row, s spec) {
	base, ok := baseline(e, engines)
	switch {
	case e.Idle != "":
		v.Reason = e.Idle
	case e.NoSpeed != "":
		v.Reason = e.NoSpeed
	case !ok:
		v.Reason = fmt.Sprintf("no fp32 engine of backend %s to compare with", e.Backend)
	default:
		r, n := Speedup(all, base.Name, e.Name, s.row)
		if n == 0 {
			v.Reason = "not measured"
			return
		}
		s.decide(v, r, fmt.Sprintf("%s's median request time over its own, geometric mean of %d scenarios", base.Name, n))
	}
}

// baseline is the FP32 engine of the same backend.
func baseline(e Engine, engines []Engine) (Engine, bool) {
	for _, b := range engines {
		if b.Backend == e.Backend && b.Precision == "fp32" && b.Name != e.Name && b.Idle == "" {
			return b, true
		}
	}
	return Engine{}, false
}

// Speedup is the geometric mean over base's scenarios of base's median over
// engine's, and how many scenarios those are: 0 where engine lacks one. Its interval
// divides the unfavourable ends of both intervals, so it covers at least as often
// as they do together.
func Speedup(all []rows.Row, base, engine, name string) (rows.Row, int) {
	var value, lo, hi float64
	n := 0
	for _, b := range all {
		if b.Engine != base || b.Name != name || b.Scenario == "" {
			continue
		}
		e, ok := rows.Find(all, engine, b.Scenario, b.Phase, name)
		if !ok || !(b.Value > 0) || !(e.Value > 0) {
			return rows.Row{}, 0 // a mean without its worst scenario would flatter
		}
		n++
		value += math.Log(b.Value / e.Value)
		lo += math.Log(math.Max(b.Lo, 0) / e.Hi)
		hi += math.Log(b.Hi / math.Max(e.Lo, 0))
	}
	if n == 0 {
		return rows.Row{}, 0
	}
	mean := func(sum float64) float64 { return math.Exp(sum / float64(n)) }
	return rows.Row{Engine: engine, Name: "speedup", Unit: "x", Value: mean(value), Lo: mean(lo), Hi: mean(hi), N: n}, n
}
