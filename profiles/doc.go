// Package profiles derives TensorRT optimization profiles from a workload and
// proves that they hold it.
//
// A workload (scenarios, a trace of requests, a distribution of lengths) becomes
// the demand: every distinct shape that prefill and decode will ask for, as blocks
// of neighbours. [Derive] chooses minimum, optimum and maximum of every
// dynamic input so that each demanded shape lies inside a profile that the runtime
// can reach, with the joint constraints (total = past + seq) holding at minimum,
// optimum and maximum separately. [Check] replays a demand against any plan and
// names, for each group of shapes outside, the input, the dimension, the nearest profile and
// the smallest correction:
//
//	plan, err := profiles.Derive(contract, workload, profiles.Options{Strategy: "phase"})
//	gaps := profiles.Check(contract, plan.Profiles, profiles.Demand(workload), profiles.Any)
//
// It builds nothing (engine) and reads no graph (contract).
package profiles
