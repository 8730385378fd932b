package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
)

// promptTokens is the prefill of the INT8 figures, of batch 1.
const promptTokens = 8

// int8Figures: INT8 of GPT-2 124M in ortcpu's engine against PyTorch in FP32, with
// what is quantized by default and with lm_head too, in prefill and in decode. The
// weights are random, so their speed is all that counts: ranges are made up.
func int8Figures(w *workshop) error {
	checkpoint, err := w.gpt2()
	if err != nil {
		return err
	}
	float := w.path("int8-float")
	if err := export.Write(checkpoint, float); err != nil {
		return err
	}
	for _, c := range []struct {
		name, roles string
		asked       [2]float64 // in prefill and in decode
	}{
		{"int8", "qkv,fc1", [2]float64{2.0, 1.4}},
		{"int8-lmhead", "qkv,fc1,lm_head", [2]float64{3.0, 1.9}},
	} {
		dir := w.path(c.name)
		built, err := int8Engine(float, dir, c.roles)
		if err != nil {
			return err
		}
		for i, phase := range []string{"prefill", "decode"} {
			if err := w.compare(int8Speed(c.name+"-"+phase, dir, built, checkpoint, phase, c.asked[i])); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return os.RemoveAll(float)
}

func int8Speed(name, dir, built, checkpoint, phase string, asked float64) plan {
	threads, tokens, times := strconv.Itoa(ort.Threads()), strconv.Itoa(promptTokens), strconv.Itoa(steps)
	if phase == "decode" {
		tokens = strconv.Itoa(depth)
	}
	return plan{
		name: name, unit: "ms", asked: asked, reps: 1,
		ours: func() (*side, error) {
			return self("lm", built, filepath.Join(dir, "model.onnx"), phase, tokens, times, threads)
		},
		anchor: func() (*side, error) { return python("torch_lm.py", checkpoint, phase, tokens, times, threads) },
	}
}

// int8Engine quantizes the graph in dir float with the command and builds it.
func int8Engine(float, dir, roles string) (built string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	table := filepath.Join(dir, "made-up.json")
	if err := madeUpTable(filepath.Join(float, "model.onnx"), table); err != nil {
		return "", err
	}
	cmd := exec.Command(binary, "quantize", float, "-o", dir, "--table", table, "--roles", roles, "-q")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("quantizing %s: %w", float, err)
	}
	return ortcpuEngine(filepath.Join(dir, "model.onnx"), engine.INT8, dir)
}

// ortcpuEngine builds a graph into dir/engine and gives the file to open.
func ortcpuEngine(graph string, precision engine.Precision, dir string) (string, error) {
	r, ok := runtimes.Find("ort")
	if !ok {
		return "", fmt.Errorf("ONNX Runtime is not installed: run trtforge setup ort")
	}
	exe, err := filepath.Abs(binary)
	if err != nil {
		return "", err
	}
	client := &ort.Client{Library: r.Library, Exe: exe, Log: os.Stderr}
	defer func() { _ = client.Close() }()
	version, err := client.Version(context.Background())
	if err != nil {
		return "", err
	}
	b := &ortcpu.Builder{Version: version, Start: func(context.Context) (ortcpu.Caller, error) { return client, nil }}
	built := filepath.Join(dir, "engine")
	if err := os.MkdirAll(built, 0o755); err != nil {
		return "", err
	}
	made, err := b.Build(context.Background(), engine.Request{Name: "bench", Backend: "ortcpu", Precision: precision, Model: graph}, built, progress.Noop)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", dir, made.Layers)
	return filepath.Join(built, made.File), nil
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
