package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/lm"
)

// The decode comparison: steps at about this depth of GPT-2 124M, batch 1.
const (
	depth = 64
	deep  = 512
	steps = 32 // behind one number; their median counts
)

// What was asked of ortcpu's engine in FP32, batch 1: a step against Python's
// onnxruntime with IO binding on the same graph, and against PyTorch; a prefill
// against PyTorch. The threads are the same.
const (
	stepOverRuntime  = 0.97
	stepOverTorch    = 1.05
	prefillOverTorch = 0.9
)

var longPrompts = []int{512, 1024}

// floatEngine exports GPT-2 124M and builds its FP32 engine. Who measured removes
// both.
func (w *workshop) floatEngine(name string) (checkpoint, graph, built string, remove func() error, err error) {
	if checkpoint, err = w.gpt2(); err != nil {
		return "", "", "", nil, err
	}
	dir := w.path(name)
	if err := export.Write(checkpoint, dir); err != nil {
		return "", "", "", nil, err
	}
	graph = filepath.Join(dir, "model.onnx")
	built, err = ortcpuEngine(graph, engine.FP32, dir)
	return checkpoint, graph, built, func() error { return os.RemoveAll(dir) }, err
}

// prefillFigures: prefills through lm.Decoder against PyTorch.
func prefillFigures(w *workshop) error {
	checkpoint, graph, built, remove, err := w.floatEngine("prefill")
	if err != nil {
		return err
	}
	threads := strconv.Itoa(ort.Threads())
	for _, n := range longPrompts {
		tokens := strconv.Itoa(n)
		err := w.compare(plan{
			name: fmt.Sprintf("prefill-124m-1x%d", n), unit: "ms", asked: prefillOverTorch, reps: 1,
			ours:   func() (*side, error) { return self("lm", built, graph, "prefill", tokens, "1", threads) },
			anchor: func() (*side, error) { return python("torch_lm.py", checkpoint, "prefill", tokens, "1", threads) },
		})
		if err != nil {
			return errors.Join(err, remove())
		}
	}
	return remove()
}

// decodeFigures: steps through lm.Decoder.
func decodeFigures(w *workshop) error {
	checkpoint, graph, built, remove, err := w.floatEngine("decode")
	if err != nil {
		return err
	}
	threads, times := strconv.Itoa(ort.Threads()), strconv.Itoa(steps)
	for _, at := range []int{depth, deep} {
		tokens := strconv.Itoa(at)
		ours := func() (*side, error) { return self("lm", built, graph, "decode", tokens, times, threads) }
		err := errors.Join(
			w.compare(plan{
				name: fmt.Sprintf("decode-124m-depth%d-ort", at), unit: "ms", asked: stepOverRuntime, reps: 1, ours: ours,
				anchor: func() (*side, error) { return python("ort_decode.py", graph, tokens, times, threads) },
			}),
			w.compare(plan{
				name: fmt.Sprintf("decode-124m-depth%d-torch", at), unit: "ms", asked: stepOverTorch, reps: 1, ours: ours,
				anchor: func() (*side, error) { return python("torch_lm.py", checkpoint, "decode", tokens, times, threads) },
			}),
		)
		if err != nil {
			return errors.Join(err, remove())
		}
	}
	return remove()
}

// lmSide runs prefills, or steps after one, of an engine through lm.Decoder and
// answers their median.
func lmSide(args []string) error {
	return withDecoder(args, nil, func(d *lm.Decoder, phase string, tokens, times int) error {
		run := prefillsOf(d, tokens, times)
		if phase == "decode" {
			run = stepsOf(d, tokens, times)
		}
		return serve(run)
	})
}

// withDecoder opens what args name: the engine, the graph that it was made of, a
// phase, tokens of the prompt, how many times, and threads. wrap, where there is one,
// stands between the decoder and the session.
func withDecoder(args []string, wrap func(lm.Session) lm.Session, use func(d *lm.Decoder, phase string, tokens, times int) error) error {
	model, graph, phase := args[0], args[1], args[2]
	var numbers [3]int
	for i, text := range args[3:6] {
		n, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		numbers[i] = n
	}
	tokens, times, threads := numbers[0], numbers[1], numbers[2]
	r, ok := runtimes.Find("ort")
	if !ok {
		return fmt.Errorf("ONNX Runtime is not installed: run trtforge setup ort")
	}
	if err := ort.Init(r.Library); err != nil {
		return err
	}
	s, err := ort.Open(model, ort.Options{Threads: threads, Spin: true, Optimize: ortcpu.Open})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	runtime.LockOSThread() // as a job of the child does
	defer runtime.UnlockOSThread()
	var c *contract.Contract
	if err := withModel(graph, func(inferred *contract.Contract) { c = inferred }); err != nil {
		return err
	}
	session := lm.Session(s)
	if wrap != nil {
		session = wrap(s)
	}
	made := 1 // tokens: the prefill gives the first
	if phase == "decode" {
		made += times
	}
	d, err := lm.NewDecoder(session, c, lm.Options{Batch: 1, Capacity: tokens + made - 1})
	if err != nil {
		return err
	}
	if err := d.Prepare(tokens, made); err != nil {
		return err
	}
	return use(d, phase, tokens, times)
}

// prefillsOf times whole prefills.
func prefillsOf(d *lm.Decoder, tokens, times int) func() (time.Duration, error) {
	prompt, next := [][]int64{slices.Repeat([]int64{1}, tokens)}, []int64{1}
	return medianOf(times, func() error { return nil }, func() error {
		l, err := d.Prefill(prompt)
		if err == nil {
			l.Greedy(next)
		}
		return err
	})
}

// stepsOf times steps after a prefill.
func stepsOf(d *lm.Decoder, tokens, times int) func() (time.Duration, error) {
	prompt := [][]int64{slices.Repeat([]int64{1}, tokens)}
	return medianOf(times, func() error {
		_, err := d.Prefill(prompt)
		return err
	}, stepOf(d))
}

// stepOf is one step, and the choice of its token.
func stepOf(d *lm.Decoder) func() error {
	next := []int64{1}
	return func() error {
		l, err := d.Step(next)
		if err == nil {
			l.Greedy(next)
			next[0] = 1
		}
		return err
	}
}

// medianOf is the median time of one of n calls of run after begin.
func medianOf(n int, begin, run func() error) func() (time.Duration, error) {
	times := make([]time.Duration, n)
	return func() (time.Duration, error) {
		if err := begin(); err != nil {
			return 0, err
		}
		for i := range times {
			start := time.Now()
			if err := run(); err != nil {
				return 0, err
			}
			times[i] = time.Since(start)
		}
		slices.Sort(times)
		return (times[(n-1)/2] + times[n/2]) / 2, nil
	}
}

// engineFigures are the bytes of the demo's engines, as `make demo` left them.
func engineFigures(w *workshop) error {
	const dir = "build/demo/stages/engine"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("run make demo first: %w", err)
	}
	for _, e := range entries {
		bytes, err := engineBytes(dir + "/" + e.Name() + "/manifest.json")
		if err != nil {
			return err
		}
		w.say(figure{name: "engine-" + e.Name(), unit: "bytes", ours: float64(bytes)})
	}
	return nil
}
