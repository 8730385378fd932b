package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/lm"
)

// The decode comparison: a step at about depth 64 of GPT-2 124M, batch 1.
const (
	depth = 64
	steps = 32 // behind one number; their median counts
)

// decodeFigures: a step through lm.Decoder against Python's onnxruntime with IO
// binding, on the same graph with the same threads.
func decodeFigures(w *workshop) ([]figure, error) {
	checkpoint, err := w.gpt2()
	if err != nil {
		return nil, err
	}
	out := w.path("decode")
	if err := export.Write(checkpoint, out); err != nil {
		return nil, err
	}
	model, threads := out+"/model.onnx", strconv.Itoa(ort.Threads())
	f, err := compare(plan{
		name: "decode-124m-depth64", unit: "ms", asked: 0.95, reps: 3,
		ours: func() (*side, error) { return self("decode", model, threads) },
		anchor: func() (*side, error) {
			return python("ort_decode.py", model, strconv.Itoa(depth), strconv.Itoa(steps), threads)
		},
	})
	return []figure{f}, err
}

// decodeSide runs steps through lm.Decoder and answers their median.
func decodeSide(args []string) error {
	threads, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	r, ok := runtimes.Find("ort")
	if !ok {
		return fmt.Errorf("ONNX Runtime is not installed: run trtforge setup ort")
	}
	if err := ort.Init(r.Library); err != nil {
		return err
	}
	s, err := ort.Open(args[0], ort.Options{Threads: threads, Spin: true})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	runtime.LockOSThread() // as a job of the child does
	defer runtime.UnlockOSThread()
	d, err := decoder(s, args[0])
	if err != nil {
		return err
	}
	return serve(stepsOf(d))
}

func decoder(s *ort.Session, path string) (*lm.Decoder, error) {
	var c *contract.Contract
	err := withModel(path, func(inferred *contract.Contract) { c = inferred })
	if err != nil {
		return nil, err
	}
	d, err := lm.NewDecoder(s, c, lm.Options{Batch: 1, Capacity: depth + steps + 1})
	if err != nil {
		return nil, err
	}
	return d, d.Prepare(depth, steps+1)
}

// engineFigures are the bytes of the demo's engines, as `make demo` left them.
func engineFigures(*workshop) ([]figure, error) {
	const dir = "build/demo/stages/engine"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("run make demo first: %w", err)
	}
	var all []figure
	for _, e := range entries {
		bytes, err := engineBytes(dir + "/" + e.Name() + "/manifest.json")
		if err != nil {
			return all, err
		}
		all = append(all, figure{name: "engine-" + e.Name(), unit: "bytes", ours: float64(bytes)})
	}
	return all, nil
}
