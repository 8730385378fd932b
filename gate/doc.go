// Package gate holds engines to limits.
//
// Limits come from a pipeline's `[gate.PRECISION]` tables, by name; [Names] lists
// them and [Check] refuses others. [Evaluate] looks each one up in the rows and
// gives a [Verdict]: pass, fail, or not evaluated with the reason, never silence:
//
//	verdicts := gate.Evaluate(engines, map[string]gate.Limits{"int8": {"ppl_ratio_max": 1.1}}, rows)
//	err := gate.Err(verdicts) // class gate: exit status 1
//
// Accuracy gates judge prefill and cached decode apart: an error in the cache
// shows in the second only. Speed gates compare engines of one backend only, and
// a gate is passed by the figure itself; whether its interval reaches beyond the
// limit is said in the evidence.
//
// It measures nothing (bench, validate).
package gate
