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
	Out    string
	Logits string
}

// AddFlags declares the flags.
func (o *ExportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Out, "out", "o", "", "the `DIR` that gets model.onnx, its weights and contract.json (required)")
	f.StringVar(&o.Logits, "logits", "all", "positions that get logits: all (for scoring), last (for serving), or both, which share their weights")
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
` + exitStatus,
		Example: `  trtforge export gpt2/ -o build/gpt2
  trtforge export gpt2/ -o build/gpt2 --logits both`,
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
}

func runExport(opts ExportOptions, g *globals, dir string) error {
	variants := map[string][]export.Logits{"all": {export.All}, "last": {export.Last}, "both": {export.All, export.Last}}[opts.Logits]
	if variants == nil {
		return fault.New(fault.Usage, "", "", fmt.Sprintf("--logits %q", opts.Logits), "want all, last or both")
	}
	if err := export.Write(dir, opts.Out, variants...); err != nil {
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
	if err := c.Save(filepath.Join(opts.Out, "contract.json")); err != nil {
		return err
	}
	out.Bytes, out.Layers, out.Heads, out.Vocab = m.Size(), c.Layers, c.Heads, c.Vocab
	return g.print(out, func(w io.Writer) error {
		for _, path := range out.Graphs {
			_, _ = fmt.Fprintln(w, path)
		}
		_, err := fmt.Fprintf(w, "%d layers of %d heads, %d tokens, %.1f MB of weights\n", c.Layers, c.Heads, c.Vocab, float64(out.Bytes)/1e6)
		return err
	})
}
