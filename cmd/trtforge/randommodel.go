package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// RandomModelOptions are the flags of random-model.
type RandomModelOptions struct {
	Shape export.Shape
	Seed  uint64
}

// AddFlags declares the flags; the defaults are GPT-2 124M.
func (o *RandomModelOptions) AddFlags(f *pflag.FlagSet) {
	f.Int64Var(&o.Shape.Layers, "layers", 12, "decoder layers")
	f.Int64Var(&o.Shape.Width, "width", 768, "hidden size")
	f.Int64Var(&o.Shape.Heads, "heads", 12, "attention heads")
	f.Int64Var(&o.Shape.Vocab, "vocab", 50257, "tokens of the vocabulary")
	f.Int64Var(&o.Shape.Positions, "positions", 1024, "longest sequence")
	f.StringVar(&o.Shape.Activation, "activation", "gelu_new", "gelu_new, gelu or relu")
	f.StringVar(&o.Shape.Type, "type", "F32", "F32, F16 or BF16")
	f.Uint64Var(&o.Seed, "seed", 1, "of the weights")
}

func newRandomModelCommand(g *globals) *cobra.Command {
	var opts RandomModelOptions
	c := &cobra.Command{
		Use:   "random-model DIR",
		Short: "Write a GPT-2 checkpoint of any shape with random weights",
		Long: `Random-model writes config.json and model.safetensors of a GPT-2 with random
weights: for tests, and to measure how time and memory grow with a model's size
without downloading one. The same seed and shape give the same bytes everywhere. It
writes no tokenizer; for ` + "`trtforge run`" + ` copy one beside it whose tokens fit --vocab.
` + exitStatus,
		Example: `  trtforge random-model gpt2-124m
  trtforge random-model tiny --layers 2 --width 64 --heads 4 --vocab 512 --positions 128`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runRandomModel(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	return c
}

func runRandomModel(opts RandomModelOptions, g *globals, dir string) error {
	for _, name := range []string{"config.json", "model.safetensors"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return fault.New(fault.Usage, "writing a random model to", dir, "it holds a checkpoint already", "choose another directory, or remove that one")
		}
	}
	if err := fsx.MkdirAll(dir); err != nil {
		return err
	}
	if err := export.Random(dir, opts.Shape, opts.Seed); err != nil {
		return err
	}
	return g.print(map[string]string{"dir": dir}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, dir)
		return err
	})
}
