// Package calib measures the ranges of activations on real text.
//
// A [Plan] says which windows of a text are run: prefill windows, and after each
// some decode steps whose past is what the model itself produced. [Cut] makes
// the graph that is needed for that (nothing computes what nobody observes),
// [Collect] drives it through whatever runs graphs ([Runner]) and reduces every
// observed tensor to a [Histogram] at once, so memory does not depend on the
// number of samples. A [Method] turns histograms into the [Table] that
// quantization reads.
//
//	cut, err := calib.Cut(m, observe)
//	plan, err := calib.NewPlan(len(ids), calib.PlanOptions{Samples: 16, Prefill: []int{64}, Decode: 8, Seed: 1})
//	c, err := calib.Collect(ctx, runner, contract, calib.Job{Plan: plan, IDs: ids, Observe: observe}, progress.Noop)
//	table, err := c.Table(calib.Percentile(99.99))
//
// It never calibrates on random data, and [Overlap] refuses text that is also
// used for evaluation. It does not run graphs itself and changes none but the
// cut copy.
package calib
