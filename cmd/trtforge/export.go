package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// ExportOptions are the flags of export.
type ExportOptions struct {
	Out      string
	Logits   string
	Cache    string
	Capacity int64
}

// AddFlags declares the flags.
func (o *ExportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Out, "out", "o", "", "the `DIR` that gets model.onnx, its weights and contract.json (required)")
	f.StringVar(&o.Logits, "logits", "all", "positions that get logits: all (for scoring), last (for serving), or both, which share their weights")
	f.StringVar(&o.Cache, "cache", string(export.Concat), "concat puts new keys and values behind the past; static writes them into a buffer of fixed length, so all decode steps have one shape")
	f.Int64Var(&o.Capacity, "capacity", 0, "columns of a static cache (`N`): the longest prompt and all that is decoded after it; default and most: the model's positions")
}

func newExportCommand(g *globals) *cobra.Command {
	var opts ExportOptions
	c := &cobra.Command{
		Use:   "export MODEL_DIR -o DIR",
		Short: "Turn a Hugging Face GPT-2 checkpoint into ONNX, without Python",
		Long: `Export reads config.json and the safetensors of a GPT-2 (sharded or not; F32, F16
or BF16) and writes one graph that serves prefill and decode, with past and present
keys and values, float32, opset 21. Weights are streamed: peak memory does not
depend on the model's size. What the config asks for and export does not support is
refused by name.

With --cache static past and present are buffers of --capacity columns, and
cache_position says which of them the new keys are written to. Every decode step
has the same shapes and lies in one profile by construction. It costs attention over
the whole buffer in every step, and the whole buffer's memory from the first token.
` + exitStatus,
		Example: `  trtforge export gpt2/ -o build/gpt2
  trtforge export gpt2/ -o build/gpt2 --logits both
  trtforge export gpt2/ -o build/gpt2 --logits last --cache static --capacity 512`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runExport(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	_ = c.MarkFlagRequired("out") // fails for a flag that does not exist only
	return c
}

// exported is what export prints.
type exported struct {
	Graphs []string `json:"graphs"`
	Bytes  int64    `json:"weight_bytes"`
	Layers int      `json:"layers"`
	Heads  int      `json:"heads"`
	Vocab  int      `json:"vocab"`

	Capacity int64 `json:"capacity,omitempty"`          // columns of a static cache
	Buffers  int64 `json:"cache_bytes_a_row,omitempty"` // of keys and values, whatever is in them
}

func runExport(opts ExportOptions, g *globals, dir string) error {
	variants, err := opts.variants()
	if err != nil {
		return err
	}
	if err := export.WriteVariants(dir, opts.Out, variants...); err != nil {
		return err
	}
	var out exported
	for _, v := range variants {
		out.Graphs = append(out.Graphs, filepath.Join(opts.Out, v.File()))
	}
	m, err := onnx.Load(out.Graphs[0])
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	c, err := contract.Infer(m)
	if err != nil {
		return err
	}
	c.CreatedBy = createdBy()
	if err := c.Save(filepath.Join(opts.Out, contract.File)); err != nil {
		return err
	}
	out.Bytes, out.Layers, out.Heads, out.Vocab = m.Size(), c.Layers, c.Heads, c.Vocab
	out.Capacity, out.Buffers = c.Capacity(), c.BufferBytes(1)
	return g.print(out, out.write)
}

// variants are the graphs asked for.
func (o ExportOptions) variants() ([]export.Options, error) {
	logits := map[string][]export.Logits{"all": {export.All}, "last": {export.Last}, "both": {export.All, export.Last}}[o.Logits]
	if logits == nil {
		return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("--logits %q", o.Logits), "want all, last or both")
	}
	var all []export.Options
	for _, l := range logits {
		all = append(all, export.Options{Logits: l, Cache: export.Cache(o.Cache), Capacity: o.Capacity})
	}
	return all, nil
}

func (e exported) write(w io.Writer) error {
	for _, path := range e.Graphs {
		_, _ = fmt.Fprintln(w, path)
	}
	_, err := fmt.Fprintf(w, "%d layers of %d heads, %d tokens, %.1f MB of weights\n", e.Layers, e.Heads, e.Vocab, float64(e.Bytes)/1e6)
	if e.Capacity > 0 {
		_, err = fmt.Fprintf(w, "cache of %d columns, %.1f MB a row from the first token; every step attends over all of it\n", e.Capacity, float64(e.Buffers)/1e6)
	}
	return err
}
