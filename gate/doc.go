// Package gate holds engines to limits, and says which of those that hold them to
// deploy.
//
// Limits come by name, from a pipeline's `[gate.PRECISION]` tables or from a file of
// them ([ReadFile]); [Names] lists them and [Check] refuses others. [Evaluate] looks
// each one up in the rows and gives a [Verdict]: pass, fail, or not evaluated with
// the reason, never silence:
//
//	verdicts := gate.Evaluate(engines, map[string]gate.Limits{"int8": {"ppl_ratio_max": 1.1}}, rows)
//	choices := gate.Recommend(engines, verdicts, scenarios, rows)
//	err := gate.Err(verdicts) // class gate: exit status 1
//
// Accuracy gates judge prefill and cached decode apart: an error in the cache
// shows in the second only. A limit on time or memory is held against the worst
// scenario. Speed gates compare engines of one backend, model and machine only, and
// a gate is passed by the figure itself (but for ppl_ratio_hi_max); whether its
// interval reaches beyond the limit is said in the evidence.
//
// [Recommend] takes, of the engines that failed no gate and left none open, the
// fastest of each backend, with what choosing it costs and how sure the lead over
// the next is. [NewMatrix] sets backends side by side without choosing between
// them. [JUnit] and [Annotate] say it to build servers.
//
// It measures nothing (bench, validate).
package gate
