package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/report"
)

// ValidateOptions are the flags of validate.
type ValidateOptions struct {
	Model       string
	Reference   string
	Only        bool
	Text        string
	IDs         string
	Calibration string
	Convention  string
	Window      int
	Windows     int
	NoNoise     bool

	Gate    string
	Limits  gate.Limits // of the flags, for every precision
	Tensors string

	Out     string
	Servers ServerFlags
	Store   string
	Seed    uint64
	Threads int
	Timeout time.Duration
	Setup   bool
}

// AddFlags declares the flags.
func (o *ValidateOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Model, "model", "", "the checkpoint `DIR`: its tokenizer reads the text, and PyTorch runs it where the reference is live")
	f.StringVar(&o.Reference, "reference", "", "what PyTorch FP32 gives: the `DIR` of a recorded bundle, or live to run PyTorch now, which compares the whole vocabulary (default: live; of a pipeline's directory, its bundle)")
	f.BoolVar(&o.Only, "reference-only", false, "record the bundle into -o, and validate nothing: what machines without PyTorch validate against")
	f.StringVar(&o.Text, "text", "", "the `FILE` of text in UTF-8 that is scored")
	f.StringVar(&o.IDs, "ids", "", "a `FILE` of token ids instead: whole numbers with spaces or commas between")
	f.StringVar(&o.Calibration, "calibration", "", "the `FILE` of text that ranges were calibrated on: scoring any of it is refused")
	f.StringVar(&o.Convention, "convention", "", "of perplexity: `RULE` hf-strided(L,STRIDE), hf-nonoverlap(L), llama-chunks(CTX) (default: the bundle's, or hf-nonoverlap of the smaller of 512 and the model's positions)")
	f.IntVar(&o.Window, "window", 0, "`TOKENS` of a window, in place of --convention: hf-nonoverlap of that length")
	f.IntVar(&o.Windows, "windows", 0, "score only the first `N` windows of the text; 0 for all")
	f.BoolVar(&o.NoNoise, "no-noise", false, "do not measure PyTorch's own noise, BF16 against FP32")
	f.StringVar(&o.Gate, "gate", "", "limits by precision: a TOML `FILE` with [gate.int8] and the like, or a pipeline (default: the study's, perplexity within 1, 5 and 10 %)")
	o.Limits = gate.Limits{}
	for _, l := range []struct{ flag, name, usage string }{
		{"max-ppl-ratio", "ppl_ratio_max", "fail where perplexity is more than `RATIO` times the reference's"},
		{"max-kl", "kl_mean_max", "fail where the mean KL divergence is more than `NATS` a token"},
		{"min-top1", "top1_min", "fail where a smaller `SHARE` of tokens has the reference's most likely successor"},
		{"max-logit-error", "logit_error_max", "fail where a logit is off by more than `X`"},
		{"min-greedy-match", "greedy_match_min", "fail where greedy text is the reference's for fewer `TOKENS`, in the median"},
	} {
		f.Var(limit{o.Limits, l.name}, l.flag, l.usage)
	}
	f.StringVar(&o.Tensors, "tensors", "", "the FP32 graph `FILE` that a Q/DQ graph was made of: compare their tensors, and name scales that are wrong")
	f.StringVarP(&o.Out, "out", "o", "", "the results `DIR`: rows.jsonl, machine.json, report.json, report.html; or the bundle of --reference-only")
	o.Servers.AddFlags(f)
	addStore(f, &o.Store)
	f.Uint64Var(&o.Seed, "seed", 1, "of bootstraps")
	f.IntVar(&o.Threads, "threads", 0, "threads of ONNX Runtime and of PyTorch; 0 for as many as the machine grants")
	f.DurationVar(&o.Timeout, "timeout", 0, "give up a pass over the text after this `TIME`; 0 for never")
	f.BoolVar(&o.Setup, "setup", false, "install missing runtimes instead of ending with status 3")
}

func newValidateCommand(g *globals) *cobra.Command {
	var opts ValidateOptions
	c := &cobra.Command{
		Use:   "validate ENGINE...",
		Short: "Hold engines to PyTorch: perplexity, KL, agreement, and what is broken",
		Long: `Validate scores a text through engines and holds each token to what PyTorch FP32
predicts: perplexity and its ratio with bootstrap intervals over windows, KL divergence
(mean, quantiles, largest), agreement of the most likely token, the text's token's
probability, and errors of logits. The prefill path and cached decode are measured
apart, since an error in the cache shows in the second only. Greedy text is compared,
a row must not change with what runs beside it or with padding on its left, and cached
decode must be about as near to PyTorch as prefill is, whatever the limits. Where logits
are NaN or infinite the graph is bisected for the node that makes the first.

ENGINE is an engine's directory, a key of the store, an .onnx file, or the output
directory of a pipeline, which stands for all its engines; NAME=ENGINE names one. A
bundle keeps the 64 most likely tokens of each position, so KL from it is a lower bound,
and needs no PyTorch; with --reference live all tokens are compared, for one pass of
PyTorch for each engine and path. Both print PyTorch's own noise beside: BF16 against
FP32, and ONNX Runtime's FP32.

The columns of its two tables, by path (prefill, decode):

` + indented(legends...) + `
Perplexities of different conventions are not comparable:

  hf-strided(L,S)   windows of L tokens every S, each scoring what none before did;
                    exp(sum (v-1) m / sum (v-1)), m the mean NLL of a window's v labels
  hf-nonoverlap(L)  windows side by side, the first token of each context only, the rest
                    of the text dropped; exp(mean NLL), as GPTQ and AWQ report it
  llama-chunks(L)   llama-perplexity's: chunks side by side of which the tokens behind
                    the middle are scored; exp(mean NLL); BOS where the tokenizer adds it
` + exitStatus,
		Example: `  trtforge validate build/engines/int8 --model gpt2 --text wiki.test.txt --reference live
  trtforge validate --reference-only -o reference --model gpt2 --text wiki.test.txt --convention 'hf-strided(1024,512)'
  trtforge validate fp32.onnx int8=q/model.onnx --model gpt2 --text wiki.test.txt --reference reference --max-ppl-ratio 1.01 --junit gates.xml
  trtforge validate q/model.onnx --model gpt2 --text wiki.test.txt --reference reference --tensors fp32/model.onnx`,
		RunE: func(c *cobra.Command, args []string) error {
			return runValidate(c.Context(), opts, g, args)
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

// check finds flags that contradict each other.
func (o *ValidateOptions) check(args []string) error {
	usage := func(cause, fix string) error { return fault.New(fault.Usage, "", "", cause, fix) }
	switch {
	case o.Only && (len(args) > 0 || o.Out == ""):
		return usage("--reference-only records a bundle into -o, and validates no engine", "give -o DIR, and leave the engines out")
	case o.Only && o.Model == "":
		return usage("--reference-only runs a checkpoint, and none is named", "give --model DIR")
	case !o.Only && len(args) == 0:
		return usage("there is no engine to validate", "name an engine, or record a bundle with --reference-only")
	case (o.Text == "") == (o.IDs == ""):
		return usage("what to score is not clear", "give either --text or --ids")
	case o.Text != "" && o.Model == "":
		return usage("no tokenizer is named that reads --text", "give the checkpoint with --model, or token ids with --ids")
	case o.Convention != "" && o.Window != 0:
		return usage("--window and --convention both say how long a window is", "leave one out")
	case o.Window < 0 || o.Windows < 0 || o.Threads < 0 || o.Window == 1:
		return usage(fmt.Sprintf("%d windows of %d tokens on %d threads cannot be", o.Windows, o.Window, o.Threads), "give positive numbers; 0 is the default")
	case o.Calibration != "" && o.Model == "":
		return usage("no tokenizer is named that reads --calibration", "give the checkpoint with --model")
	}
	if len(o.Limits) > 0 {
		if err := gate.Check("fp32", o.Limits); err != nil {
			return err
		}
	}
	return o.room()
}

// room refuses a directory whose figures another command measured: rows.jsonl is one
// file, and times would be gone.
func (o *ValidateOptions) room() error {
	if o.Out == "" {
		return nil
	}
	for _, name := range []string{report.SamplesFile, "stages"} {
		if _, err := os.Stat(filepath.Join(o.Out, name)); err == nil {
			return fault.New(fault.Usage, "validating into", o.Out, "it holds what bench or run measured", "give another directory: `trtforge report` shows several on one page")
		}
	}
	return nil
}

func runValidate(ctx context.Context, o ValidateOptions, g *globals, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	limits, err := o.limits()
	if err != nil {
		return err
	}
	v := &validation{o: o, g: g, locate: &locate{g: g, install: o.Setup}}
	defer v.close()
	if o.Only {
		return v.record(ctx)
	}
	if err := v.open(ctx, args); err != nil {
		return err
	}
	if err := v.prepare(ctx); err != nil {
		return err
	}
	out, err := v.run(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	out.runnables = v.engines
	out.judge(limits)
	return errors.Join(out.write(o, g), out.print(g), out.err(g))
}
