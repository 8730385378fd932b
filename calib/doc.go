// Package calib measures the ranges of activations on real text.
//
// A [Plan] says which windows of a text are run: prefill windows, and after each
// some decode steps whose past is what the model itself produced. [Cut] makes
// the graph that is needed for that (nothing computes what nobody observes),
// [Collect] drives it through whatever runs graphs ([Runner]) and reduces every
// observed tensor to an [Observation] at once, so memory does not depend on the
// number of samples. A [Method] turns the [Observations] into the [Table] that
// quantization reads.
//
//	cut, err := calib.Cut(m, observe)
//	plan, err := calib.NewPlan(len(ids), calib.PlanOptions{Samples: 16, Prefill: []int{64}, Decode: 8, Seed: 1})
//	seen, err := calib.Collect(ctx, runner, contract, calib.Job{Plan: plan, IDs: ids, Observe: observe}, progress.Noop)
//	table, err := seen.Table(calib.Percentile(99.99))
//
// Observations are a file too: [Resume] goes on from it, [Merge] joins those of
// several jobs that each ran a [Plan.Shard], and both come to what one job without
// a break comes to. [Until] ends a calibration that has become stable,
// [Observations.Outliers] tells what will be hard to quantize, and [Compare] holds a
// table against a committed one.
//
// It calibrates on random data only where that is allowed, [Overlap] refuses text
// that is also used for evaluation, Cut refuses a graph that is quantized already,
// and [Locate] names the node behind a value that is not finite. It does not run
// graphs itself and changes none but the cut copy.
package calib
