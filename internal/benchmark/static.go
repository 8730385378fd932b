package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
)

// staticCapacities are just what the steps at depth need, and all positions: the
// span of what attention over the whole buffer costs.
var staticCapacities = []int64{depth + steps + 1, 1024}

// staticFigures inform of what a static cache costs in ONNX Runtime on a CPU: a
// step of it against a step, at the same depth, of a cache that concatenates.
func staticFigures(w *workshop) error {
	checkpoint, err := w.gpt2()
	if err != nil {
		return err
	}
	threads := strconv.Itoa(ort.Threads())
	for _, capacity := range staticCapacities {
		out, static := w.path(fmt.Sprint("static-", capacity)), export.Options{Cache: export.Static, Capacity: capacity}
		if err := export.WriteVariants(checkpoint, out, export.Options{}, static); err != nil {
			return err
		}
		side := func(file string) func() (*side, error) {
			return func() (*side, error) {
				return self("lm", out+"/"+file, out+"/"+file, "decode", strconv.Itoa(depth), strconv.Itoa(steps), threads)
			}
		}
		err := w.compare(plan{
			name: fmt.Sprintf("static-decode-124m-depth%d-of%d", depth, capacity), unit: "ms", reps: 1,
			ours: side(static.File()), anchor: side(export.All.File()),
		})
		if err := errors.Join(err, os.RemoveAll(out)); err != nil {
			return err
		}
	}
	return nil
}
