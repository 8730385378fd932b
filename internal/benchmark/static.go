package main

import (
	"fmt"
	"strconv"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
)

// staticCapacities are just what the steps at depth need, and all positions: the
// span of what attention over the whole buffer costs.
var staticCapacities = []int64{depth + steps + 1, 1024}

// staticFigures inform of what a static cache costs in ONNX Runtime on a CPU: a
// step of it against a step, at the same depth, of a cache that concatenates.
func staticFigures(w *workshop) ([]figure, error) {
	checkpoint, err := w.gpt2()
	if err != nil {
		return nil, err
	}
	var all []figure
	for _, capacity := range staticCapacities {
		out, static := w.path(fmt.Sprint("static-", capacity)), export.Options{Cache: export.Static, Capacity: capacity}
		if err := export.WriteVariants(checkpoint, out, export.Options{}, static); err != nil {
			return all, err
		}
		threads := strconv.Itoa(ort.Threads())
		f, err := compare(plan{
			name: fmt.Sprintf("static-decode-124m-depth%d-of%d", depth, capacity), unit: "ms", reps: 3,
			ours:   func() (*side, error) { return self("decode", out+"/"+static.File(), threads) },
			anchor: func() (*side, error) { return self("decode", out+"/"+export.All.File(), threads) },
		})
		if err != nil {
			return all, err
		}
		all = append(all, f)
	}
	return all, nil
}
