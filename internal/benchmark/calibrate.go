package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/task"
)

// The comparisons of calibrating and quantizing GPT-2 124M to INT8: the same graph,
// the same windows of 128 random tokens (prefills; in a random checkpoint text would
// say no more), the same 49 products (all with a constant weight, lm_head too),
// symmetric, one scale an output channel of a weight. Ours are the two commands as
// a user runs them, process start and all, without smoothing, which the others do
// not do, and one window at a time, as the others run them; of theirs only the call counts, with the imports behind it.
var ptqs = []struct {
	name, method, samples string
	runtime, tool, theirs string
	asked                 float64
}{
	{"calibrate-minmax", "absmax", "64", "oracle", "ort", "minmax", 4},
	{"calibrate-entropy", "entropy", "16", "oracle", "ort", "entropy", 10},
	{"calibrate-modelopt", "absmax", "16", "oracle-modelopt", "modelopt", "max", 20},
}

const (
	windowTokens = 128
	ptqPeak      = 3 // how many times less memory was promised
)

func calibrateFigures(w *workshop) error {
	checkpoint, err := w.gpt2()
	if err != nil {
		return err
	}
	graph := w.path("calibrate")
	if err := export.Write(checkpoint, graph); err != nil {
		return err
	}
	for _, c := range ptqs {
		ids, feeds, err := w.windows(c.samples)
		if err != nil {
			return err
		}
		figures, err := compareLong(plan{
			name: c.name, unit: "ms", asked: c.asked, pairs: longPairs,
			ours: func() (*side, error) { return self("ptq", graph, ids, c.samples, c.method, w.path("ptq")) },
			anchor: func() (*side, error) {
				return self("anchor-ptq", c.runtime, c.tool, c.theirs, filepath.Join(graph, "model.onnx"), w.path("anchor.onnx"), feeds)
			},
		}, ptqPeak)
		if err != nil {
			return err
		}
		w.say(figures...)
		floor, err := w.forward(graph, feeds, figures[0])
		if err != nil {
			return err
		}
		w.say(floor)
	}
	return os.RemoveAll(graph)
}

// forward is the least that a calibration can take: the samples through the graph
// that ours runs, in Python's ONNX Runtime, with everything that is no Run outside of
// the clock, and nothing counted. Its ratio is of ours as it was measured.
func (w *workshop) forward(graph, feeds string, ours figure) (figure, error) {
	f := figure{name: ours.name + "-forward", unit: ours.unit, ours: ours.ours, note: "the forward pass alone"}
	m, err := onnx.Load(filepath.Join(graph, "model.onnx"))
	if err != nil {
		return f, err
	}
	defer func() { _ = m.Close() }()
	observe, err := task.Observed(m, task.AlsoHead)
	if err != nil {
		return f, err
	}
	cut, err := calib.CutPrefill(m, observe)
	if err != nil {
		return f, err
	}
	path := filepath.Join(graph, "cut.onnx") // beside the weights that it refers to
	if _, err := onnx.Refer(cut, path); err != nil {
		return f, err
	}
	argv, err := pythonArgs("oracle", "forward.py", path, feeds)
	if err != nil {
		return f, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return f, err
	}
	if f.anchor, err = strconv.ParseFloat(string(bytes.TrimSpace(text)), 64); err != nil {
		return f, err
	}
	f.ratio = f.anchor / f.ours
	f.lo, f.hi = f.ratio, f.ratio
	return f.judged(), nil
}

// windows writes so many windows of random tokens: as the text that trtforge reads,
// which divides into just these windows, and as the feeds that ptq.py reads.
func (w *workshop) windows(samples string) (ids, feeds string, err error) {
	n, err := strconv.Atoi(samples)
	if err != nil {
		return "", "", err
	}
	r := rand.New(rand.NewPCG(1, 1))
	var text bytes.Buffer
	for range n * windowTokens {
		fmt.Fprintln(&text, r.Int64N(small.Vocab))
	}
	ids, feeds = w.path("ids-"+samples+".txt"), w.path("feeds-"+samples+".npz")
	if err := os.WriteFile(ids, text.Bytes(), 0o644); err != nil {
		return "", "", err
	}
	argv, err := pythonArgs("oracle", "samples.py", ids, strconv.Itoa(windowTokens),
		fmt.Sprint(small.Layers), fmt.Sprint(small.Heads), fmt.Sprint(small.Width/small.Heads), feeds)
	if err != nil {
		return "", "", err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	return ids, feeds, cmd.Run()
}

// ptqSide calibrates and quantizes with the commands.
func ptqSide(args []string) error {
	graph, ids, samples, method, out := args[0], args[1], args[2], args[3], args[4]
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	table := filepath.Join(out, "table.json")
	return serveMemory(func() (time.Duration, float64, error) {
		var peak float64
		start := time.Now()
		for _, argv := range [][]string{
			{"calibrate", graph, "--ids", ids, "--samples", samples, "--prefill", strconv.Itoa(windowTokens), "--decode", "0",
				"--batch", "1", "--also", "lm_head", "--method", method, "-o", table, "-q"},
			{"quantize", graph, "--table", table, "--roles", "qkv,attn_out,fc1,fc2,lm_head", "--smooth", "off", "-o", filepath.Join(out, "int8"), "-q"},
		} {
			cmd := exec.Command(binary, argv...)
			cmd.Stderr = os.Stderr
			mb, err := watched(cmd)
			if err != nil {
				return 0, 0, fmt.Errorf("trtforge %s: %w", argv[0], err)
			}
			peak = max(peak, mb)
		}
		return time.Since(start), peak, nil
	})
}

// anchorSide runs ptq.py anew each time.
func anchorSide(args []string) error {
	argv, err := pythonArgs(args[0], "ptq.py", args[1:]...)
	if err != nil {
		return err
	}
	return serveMemory(func() (time.Duration, float64, error) {
		cmd := exec.Command(argv[0], argv[1:]...)
		var said bytes.Buffer
		cmd.Stderr = &said
		text, err := cmd.Output()
		if err != nil {
			return 0, 0, fmt.Errorf("%s: %w\n%s", args[1], err, said.Bytes())
		}
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		var answer struct {
			MS        float64 `json:"ms"`
			Peak      float64 `json:"peak_mb"`
			Quantized int     `json:"quantized"`
		}
		if err := json.Unmarshal(lines[len(lines)-1], &answer); err != nil {
			return 0, 0, err
		}
		if want := 4*int(small.Layers) + 1; answer.Quantized != want {
			return 0, 0, fmt.Errorf("%s quantized %d products, not %d", args[1], answer.Quantized, want)
		}
		return time.Duration(answer.MS * float64(time.Millisecond)), answer.Peak, nil
	})
}
