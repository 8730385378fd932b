package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/task"
)

// CalibrateOptions are the flags of calibrate.
type CalibrateOptions struct {
	Text      CalibrationText
	Output    TableOutput
	Bind      []string
	Also      []string
	Samples   int
	Prefill   []int
	Decode    int
	Batch     int
	Seed      uint64
	Until     string
	Shard     string
	Threads   int
	Timeout   time.Duration
	Setup     bool
	decodeSet bool
}

// AddFlags declares the flags.
func (o *CalibrateOptions) AddFlags(f *pflag.FlagSet) {
	o.Text.AddFlags(f)
	o.Output.AddFlags(f)
	addBind(f, &o.Bind)
	f.StringSliceVar(&o.Also, "also", nil, "observe more, `WHAT`: lm_head or attention, for a policy that quantizes them; fp16, all by which FP16 is judged")
	f.IntVar(&o.Samples, "samples", 64, "windows of the text that are run, `N`, spread over all of it")
	f.IntSliceVar(&o.Prefill, "prefill", nil, "their prefill lengths in `TOKENS`, used in turn (default 16,64,128, or half of the model's positions)")
	f.IntVar(&o.Decode, "decode", 8, "decode steps of each, `N`, on the cache that the model itself produced; 0 for none")
	f.IntVar(&o.Batch, "batch", 4, "windows of one length that are run together, `N`; it decides order and rounding, not the ranges")
	f.Uint64Var(&o.Seed, "seed", 1, "decides where windows lie and in what order they are run")
	f.StringVar(&o.Until, "until-stable", "", "stop when no range moved by more than `PERCENT` while the samples doubled, as 1%; --samples is then the most")
	f.StringVar(&o.Shard, "shard", "", "run part `I/N` of the plan only, from 1; -o gets its observations, for calibrate merge")
	f.IntVar(&o.Threads, "threads", 0, "threads of ONNX Runtime; 0 for as many as the machine grants. The same number gives the same bits")
	f.DurationVar(&o.Timeout, "timeout", 0, "give up after this `TIME`; 0 for never")
	f.BoolVar(&o.Setup, "setup", false, "install ONNX Runtime where it is missing instead of ending with status 3")
}

func newCalibrateCommand(g *globals) *cobra.Command {
	var opts CalibrateOptions
	c := &cobra.Command{
		Use:         "calibrate MODEL --text FILE... -o TABLE",
		Annotations: resumes,
		Short:       "Measure the ranges of activations on real text",
		Long: `Calibrate runs windows of a text through a graph (an .onnx file, or the directory of
an export) and writes the range of every tensor that a matrix product reads, which is
what INT8 needs. Windows are run as they are served: a prefill, then decode steps on
the cache that the model itself produced. One table serves every choice of products;
only the input of lm_head and attention's operands have to be asked for (--also), and
what FP16 is judged by: with --also fp16, quantize keeps in FP32 what leaves its range.

Values are reduced to histograms, moments and extremes by channel while they are
made, so memory does not grow with the samples. The same seed and threads give the
same table. --until-stable ends it when more text changes nothing.

Ctrl-C leaves what was seen beside the output (TABLE.partial, or the file of
--observations); the same command goes on from it and gives the table that an
undisturbed run gives.

Refused are: random token ids, unless --allow-random; text that shares 32 tokens
and more with the text of --evaluate, 24 of them different, with the passage and where
it stands in both; a text too short for the samples; one that is not
UTF-8; activations that are NaN or infinite, with the first node that makes them; a
graph that is quantized already.

For CI, --check holds the ranges to a committed table and ends with status 1 where
one drifted by more than --drift, and --shard divides the work over jobs, whose
observations calibrate merge joins: examples/calibrate-ci has both.
` + exitStatus,
		Example: `  trtforge calibrate build/gpt2 --tokenizer gpt2/ --text train.txt -o table.json
  trtforge calibrate model.onnx --text train.txt --evaluate test.txt --until-stable 1% -o table.json --html calibration.html
  trtforge calibrate model.onnx --text train.txt --check table.lock.json --drift 5%
  trtforge calibrate model.onnx --text train.txt --shard 1/4 -o part1.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts.decodeSet = c.Flags().Changed("decode")
			return runCalibrate(c.Context(), opts, g, args[0])
		},
	}
	opts.AddFlags(c.Flags())
	for _, sub := range []*cobra.Command{newCalibrateMergeCommand(g), newCalibrateConvertCommand(g), newCalibrateShowCommand(g)} {
		leaveAtOnce(sub)
		c.AddCommand(sub)
	}
	return c
}

func runCalibrate(ctx context.Context, o CalibrateOptions, g *globals, path string) error {
	if err := o.check(); err != nil {
		return err
	}
	sink, err := o.Output.open()
	if err != nil {
		return err
	}
	m, err := loadGraph(path)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	c, err := infer(m, o.Bind)
	if err != nil {
		return err
	}
	r, err := o.request(m, c, path)
	if err != nil {
		return err
	}
	r.Method, r.State = sink.method, o.state()
	r.Dir = filepath.Dir(r.State)
	if r.State == "" { // beside a device or a pipe there is no place
		r.Dir = os.TempDir()
	} else if err := makeParent(r.State); err != nil {
		return err
	}
	seen, err := o.run(ctx, g, r)
	if err != nil {
		return err
	}
	if o.Shard != "" {
		return g.print(shownOf(seen), func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s: part %s, %s, %s in all\n", o.Output.Out, o.Shard, plural(seen.Samples, "sample"), plural(int(seen.Tokens), "token"))
			return err
		})
	}
	out, err := sink.save(seen)
	if r.State != "" && o.Output.Observations == "" && (err == nil || sink.saved) {
		_ = os.Remove(r.State) // the table is there: nothing is to be gone on from
	}
	if err != nil {
		return err
	}
	return sink.tell(g, out)
}

// check finds flags that contradict each other.
func (o CalibrateOptions) check() error {
	usage := func(cause, fix string) error { return fault.New(fault.Usage, "", "", cause, fix) }
	for _, n := range []struct {
		flag      string
		is, least int
	}{{"--samples", o.Samples, 1}, {"--batch", o.Batch, 1}, {"--decode", o.Decode, 0}, {"--threads", o.Threads, 0}} {
		if n.is < n.least {
			return usage(fmt.Sprintf("%s %d", n.flag, n.is), fmt.Sprintf("give %d or more", n.least))
		}
	}
	if o.Shard != "" && fsx.Through(o.Output.Out) || fsx.Through(o.Output.Observations) {
		return usage("observations are kept and gone on from, and a device or a pipe keeps nothing", "name a file")
	}
	if o.Shard == "" {
		return nil
	}
	switch out := o.Output; {
	case out.Out == "":
		return usage("--shard writes observations, and -o does not say where", "name a file")
	case out.Check != "" || out.HTML != "" || out.Observations != "":
		return usage("a part of the plan has no table to check or to show, and -o gets its observations", "merge the parts first: trtforge calibrate merge")
	case o.Until != "":
		return usage("--until-stable sees one part only", "run the parts to their end")
	}
	_, _, err := parseShard(o.Shard)
	return err
}

// request is the calibration that the flags ask for, without where it goes.
func (o CalibrateOptions) request(m *onnx.Model, c *contract.Contract, path string) (task.Calibration, error) {
	prefill, decode := task.Windows(c.MaxPositions)
	if len(o.Prefill) > 0 {
		prefill = o.Prefill
	}
	switch {
	case o.decodeSet:
		decode = o.Decode
	case c.Layers == 0: // without a cache there are no decode steps
		decode = 0
	}
	r := task.Calibration{
		Model: m, Contract: c, Random: o.Text.Random > 0, Threads: o.Threads, CreatedBy: createdBy(),
		Windows: calib.PlanOptions{Samples: o.Samples, Prefill: prefill, Decode: decode, Batch: o.Batch, Seed: o.Seed},
	}
	var err error
	if o.Until != "" {
		if r.Until, err = calib.ParseUntil(o.Until); err != nil {
			return r, err
		}
	}
	if o.Shard != "" {
		if r.Part, r.Of, err = parseShard(o.Shard); err != nil {
			return r, err
		}
	}
	also := make([]task.Also, len(o.Also))
	for i, a := range o.Also {
		if also[i] = task.Also(a); !slices.Contains(task.Alsos, also[i]) {
			return r, fault.New(fault.Usage, "", "", fmt.Sprintf("--also %q", a), fmt.Sprintf("want some of %v", task.Alsos))
		}
	}
	if r.Observe, err = task.Observed(m, also...); err != nil {
		return r, err
	}
	r.IDs, err = o.Text.ids(filepath.Dir(path), path, c.Vocab, o.Seed)
	return r, err
}

// state is the file that an interrupted calibration goes on from; "" for none.
func (o CalibrateOptions) state() string {
	switch {
	case o.Shard != "":
		return o.Output.Out
	case o.Output.Observations != "":
		return o.Output.Observations
	case fsx.Through(o.Output.Out):
		return ""
	case o.Output.Out != "":
		return o.Output.Out + ".partial"
	}
	return o.Output.Check + ".partial"
}

// run calibrates in a child of its own.
func (o CalibrateOptions) run(ctx context.Context, g *globals, r task.Calibration) (*calib.Observations, error) {
	runtime, err := (&locate{g: g, install: o.Setup}).Get(ctx, "ort")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(r.State); err == nil {
		g.Log.Info("going on from what was seen before", "file", r.State)
	}
	client := &ort.Client{Library: runtime.Library, Run: -1}
	if o.Timeout > 0 {
		client.Run = o.Timeout
	}
	defer func() { _ = client.Close() }()
	bar := g.bars.open("calibrate")
	seen, err := task.Calibrate(ctx, client, r, bar)
	bar.Done(err)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return seen, err
}

// parseShard reads I/N, from 1; part counts from 0.
func parseShard(s string) (part, of int, err error) {
	i, n, _ := strings.Cut(s, "/")
	part, err1 := strconv.Atoi(i)
	of, err2 := strconv.Atoi(n)
	if err1 != nil || err2 != nil || of < 1 || part < 1 || part > of {
		return 0, 0, fault.New(fault.Usage, "", "", fmt.Sprintf("--shard %q", s), "want I/N with I from 1 to N, as 2/4")
	}
	return part - 1, of, nil
}
