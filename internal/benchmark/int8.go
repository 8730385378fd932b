package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/lm"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
)

// promptTokens is the prefill of the INT8 figures, of batch 1.
const promptTokens = 8

// int8Figures: INT8 of GPT-2 124M in ortcpu's engine against PyTorch in FP32, with
// what is quantized by default and with lm_head too, in prefill and in decode. The
// weights are random, so their speed is all that counts: ranges are made up.
func int8Figures(w *workshop) ([]figure, error) {
	checkpoint, err := w.gpt2()
	if err != nil {
		return nil, err
	}
	float := w.path("int8-float")
	if err := export.Write(checkpoint, float); err != nil {
		return nil, err
	}
	var all []figure
	for _, c := range []struct {
		name, roles string
		asked       [2]float64 // in prefill and in decode
	}{
		{"int8", "qkv,fc1", [2]float64{2.0, 1.4}},
		{"int8-lmhead", "qkv,fc1,lm_head", [2]float64{3.0, 1.9}},
	} {
		dir := w.path(c.name)
		if err := int8Engine(float, dir, c.roles); err != nil {
			return all, err
		}
		for i, phase := range []string{"prefill", "decode"} {
			f, err := int8Speed(c.name+"-"+phase, dir, checkpoint, phase, c.asked[i])
			if err != nil {
				return all, err
			}
			all = append(all, f)
		}
		if err := os.RemoveAll(dir); err != nil {
			return all, err
		}
	}
	return all, nil
}

func int8Speed(name, dir, checkpoint, phase string, asked float64) (figure, error) {
	threads, tokens := strconv.Itoa(ort.Threads()), strconv.Itoa(promptTokens)
	if phase == "decode" {
		tokens = strconv.Itoa(depth)
	}
	return compare(plan{
		name: name, unit: "ms", asked: asked, reps: 3,
		ours: func() (*side, error) { return self("lm", dir, phase, threads) },
		anchor: func() (*side, error) {
			return python("torch_lm.py", checkpoint, phase, tokens, strconv.Itoa(steps), threads)
		},
	})
}

// int8Engine quantizes the graph in dir float with the command and builds it into
// dir/engine.
func int8Engine(float, dir, roles string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	table := filepath.Join(dir, "made-up.json")
	if err := madeUpTable(filepath.Join(float, "model.onnx"), table); err != nil {
		return err
	}
	cmd := exec.Command(binary, "quantize", float, "-o", dir, "--table", table, "--roles", roles, "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("quantizing %s: %w", float, err)
	}
	r, ok := runtimes.Find("ort")
	if !ok {
		return fmt.Errorf("ONNX Runtime is not installed: run trtforge setup ort")
	}
	exe, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	client := &ort.Client{Library: r.Library, Exe: exe, Log: os.Stderr}
	defer func() { _ = client.Close() }()
	version, err := client.Version(context.Background())
	if err != nil {
		return err
	}
	b := &ortcpu.Builder{Version: version, Start: func(context.Context) (ortcpu.Caller, error) { return client, nil }}
	built := filepath.Join(dir, "engine")
	if err := os.MkdirAll(built, 0o755); err != nil {
		return err
	}
	made, err := b.Build(context.Background(), engine.Request{Name: "bench", Backend: "ortcpu", Precision: engine.INT8, Model: filepath.Join(dir, "model.onnx")}, built, progress.Noop)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", dir, made.Layers)
	return nil
}

// madeUpTable writes ranges for all that a policy can take: every channel's from
// -4 to 4, without an outlier.
func madeUpTable(model, path string) error {
	m, err := onnx.Load(model)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	targets, err := quant.Linears(m)
	if err != nil {
		return err
	}
	t := &calib.Table{Kind: "table", SchemaVersion: calib.SchemaVersion, CreatedBy: "bench", Method: "absmax", Samples: 1, Tokens: 1, Ranges: map[string]calib.Range{}}
	if t.Model, err = m.Digest(); err != nil {
		return err
	}
	for _, l := range targets {
		t.Ranges[l.Activation] = calib.Range{Lo: -4, Hi: 4, Amax: 4, Channels: &calib.Channels{
			Lo: slices.Repeat([]float32{-4}, int(l.In)), Hi: slices.Repeat([]float32{4}, int(l.In)), RMS: slices.Repeat([]float32{1}, int(l.In)),
		}}
	}
	return t.WriteFile(path)
}

// lmSide runs prefills, or steps at depth, of the engine in dir/engine and answers
// their median.
func lmSide(args []string) error {
	dir, phase := args[0], args[1]
	threads, err := strconv.Atoi(args[2])
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
	s, err := ort.Open(filepath.Join(dir, "engine", "model.onnx"), ort.Options{Threads: threads, Spin: true, Optimize: ortcpu.Open})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	runtime.LockOSThread() // as a job of the child does
	defer runtime.UnlockOSThread()
	c, err := contract.Load(filepath.Join(dir, "contract.json"))
	if err != nil {
		return err
	}
	d, err := lm.NewDecoder(s, c, lm.Options{Batch: 1, Capacity: depth + steps + 1})
	if err != nil {
		return err
	}
	run := stepsOf(d)
	if phase == "prefill" {
		run = prefillsOf(d)
	} else if err := d.Prepare(depth, steps+1); err != nil {
		return err
	}
	return serve(run)
}

// prefillsOf times whole prefills of promptTokens.
func prefillsOf(d *lm.Decoder) func() (time.Duration, error) {
	prompt := [][]int64{slices.Repeat([]int64{1}, promptTokens)}
	return medianOf(func() error { return nil }, func() error {
		_, err := d.Prefill(prompt)
		return err
	})
}

// stepsOf times steps after a prefill of depth tokens.
func stepsOf(d *lm.Decoder) func() (time.Duration, error) {
	prompt, next := [][]int64{slices.Repeat([]int64{1}, depth)}, []int64{1}
	return medianOf(func() error {
		_, err := d.Prefill(prompt)
		return err
	}, func() error {
		l, err := d.Step(next)
		if err == nil {
			l.Greedy(next)
			next[0] = 1
		}
		return err
	})
}

// medianOf is the median time of one of a number of calls of run after begin.
func medianOf(begin, run func() error) func() (time.Duration, error) {
	times := make([]time.Duration, steps)
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
		return (times[steps/2-1] + times[steps/2]) / 2, nil
	}
}
