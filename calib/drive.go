package calib

import (
	"context"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/onnx"
)

// Drive feeds one stretch of text to a graph by its contract: the first prefill
// tokens at once, then one a step with the cache that the graph itself returned.
// Each run's tensors that observe names go to visit with the number of tokens
// before it. It is what [Collect] does to each sample, for who looks at tensors in
// another way.
func Drive(ctx context.Context, r Runner, c *contract.Contract, ids []int64, prefill int, observe []string, visit func(past int64, out []onnx.Tensor) error) error {
	plan := Plan{Samples: []Sample{{Prefill: prefill, Decode: len(ids) - prefill}}}
	d, err := newDriver(r, c, Job{IDs: ids, Plan: plan, Observe: observe})
	if err != nil {
		return err
	}
	return d.batch(ctx, []int{0}, func(out []onnx.Tensor) error {
		past := d.past - int64(prefill)
		if past > 0 {
			past = d.past - 1
		}
		return visit(past, out[:len(observe)])
	})
}
