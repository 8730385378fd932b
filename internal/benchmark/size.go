package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/trtforge/trtforge/export"
)

// sizeAsked is what making a typed graph of 1.5 billion parameters may take of
// memory, in MB.
const sizeAsked = 1024

// sizeFigures is the peak memory of quantize on GPT-2 XL with random weights, 6 GB
// of them: to FP16, with INT8 weights, and to INT8 by a table, of all products.
func sizeFigures(w *workshop) error {
	// On disk: memory would not hold the weights twice.
	disk, err := os.MkdirTemp("", "trtforge-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(disk) }()
	checkpoint, graph, table := filepath.Join(disk, "gpt2-xl"), filepath.Join(disk, "float"), filepath.Join(disk, "made-up.json")
	if err := os.Mkdir(checkpoint, 0o755); err != nil {
		return err
	}
	if err := export.Random(checkpoint, large, 1); err != nil {
		return err
	}
	if err := export.Write(checkpoint, graph); err != nil {
		return err
	}
	if err := os.RemoveAll(checkpoint); err != nil {
		return err
	}
	if err := madeUpTable(filepath.Join(graph, "model.onnx"), table); err != nil {
		return err
	}
	for _, c := range []struct {
		name string
		args []string
	}{
		{"size-1.5b-fp16-peak", []string{"--precision", "fp16"}},
		{"size-1.5b-w8-peak", []string{"--precision", "w8"}},
		{"size-1.5b-int8-peak", []string{"--precision", "int8", "--table", table, "--roles", "qkv,attn_out,fc1,fc2,lm_head"}},
		{"size-1.5b-int8-fp16-peak", []string{"--precision", "int8+fp16", "--table", table}},
	} {
		out := filepath.Join(disk, "out")
		cmd := exec.Command(binary, append([]string{"quantize", graph, "-o", out, "-q"}, c.args...)...)
		cmd.Stderr = os.Stderr
		mb, err := watched(cmd)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		w.say(within(c.name, mb, sizeAsked))
		if err := os.RemoveAll(out); err != nil {
			return err
		}
	}
	return nil
}
