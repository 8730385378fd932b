package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/bench/format"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/pipeline"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/task"
)

// BenchOptions are the flags of bench.
type BenchOptions struct {
	Workload    WorkloadFlags
	Out         string
	Repetitions int
	Until       string
	Most        int
	Warmup      int
	Depths      []int
	Ragged      bool
	Seed        uint64
	Threads     int
	Timeout     time.Duration
	Text        string
	IDs         string
	Format      string
	Store       string
	Setup       bool

	flags *pflag.FlagSet
}

// AddFlags declares the flags.
func (o *BenchOptions) AddFlags(f *pflag.FlagSet) {
	o.flags = f
	o.Workload.AddFlags(f)
	f.Lookup("mode").Usage = "how requests are run, a `LIST` of cached (the default), uncached (no cache: the whole sequence again for each token), chunked (with --chunk), both (cached and uncached) and all"
	f.StringVarP(&o.Out, "out", "o", "", "the results `DIR`: samples.jsonl as they come, rows.jsonl, machine.json, report.json, report.html; the same command again goes on there")
	f.IntVarP(&o.Repetitions, "repetitions", "r", 0, "timed requests of each engine and scenario (default 10, or the pipeline's)")
	f.StringVar(&o.Until, "until", "", "go on until the 95 % interval of every median is within `SHARE` of it, such as 1% (default none, or the pipeline's)")
	f.IntVar(&o.Most, "most", 0, "repetitions at most with --until (default 20 times --repetitions)")
	f.IntVar(&o.Warmup, "warmup", -1, "requests before each turn whose times do not count; -1 is the pipeline's, or goes on until they are steady")
	f.IntSliceVar(&o.Depths, "depth", nil, "each scenario behind `N` tokens that are in the cache when the clock starts, as well; may be a list")
	f.BoolVar(&o.Ragged, "ragged", false, "the rows of a batch have prompts of different length, padded on the left")
	f.Uint64Var(&o.Seed, "seed", 0, "`NUMBER` that decides the order of the turns and random prompts (default 0, or the pipeline's)")
	f.IntVar(&o.Threads, "threads", 0, "`N` threads a session; 0 is what the cgroup grants, or the pipeline's")
	f.DurationVar(&o.Timeout, "timeout", 10*time.Minute, "longest `TIME` that one turn may take")
	f.StringVar(&o.Text, "text", "", "prompts from a text `FILE`, UTF-8, by the tokenizer of --tokenizer; otherwise random tokens, or the pipeline's text")
	f.StringVar(&o.IDs, "ids", "", "prompts from a `FILE` of token ids, white space between them")
	f.StringVar(&o.Format, "format", "", "instead of the table: "+strings.Join(format.Names, ", "))
	addStore(f, &o.Store)
	f.BoolVar(&o.Setup, "setup", false, "install a missing runtime instead of ending with status 3")
}

func newBenchCommand(g *globals) *cobra.Command {
	var opts BenchOptions
	c := &cobra.Command{
		Use:         "bench ENGINE... | PIPELINE.toml | DIR",
		Annotations: resumes,
		Short:       "Measure engines against each other: first token, further tokens, memory",
		Long: `Bench times engines on the requests of a workload. An ENGINE is a directory with a
manifest.json, the key of an engine in the store, an .onnx file, or a checkpoint that
PyTorch runs (torch:MODEL_DIR, torch-bf16:, torch-compile:), and may be given a name:
NAME=PATH. A pipeline file, or its output directory, stands for the engines that
were built there; the file's own workload is measured unless flags give another.

Each engine has a process of its own, which stands still while another one is
measured. Turns of all engines and scenarios come in a random order (--seed), each
behind a warm-up that ends when requests take what they will take. A request that fails
is counted by class (shape, memory, timeout, non_finite, died, ...) and enters no
figure; a process that dies is started again.

TTFT is the time from the prompt to the first token, TPOT = (request - TTFT)/(n - 1)
that of each further one; both greedy, as many tokens as the scenario says. The table
has medians with their 95 % interval; "loop" is the share of a request that is not the
engine's own. What was doubtful about the machine meanwhile (throttling, a quota, other
processes) stands in footnotes.

With -o the samples are kept turn by turn: the same command goes on where it was
stopped, and another one is refused there. --format benchfmt is for benchstat, aiperf
has the names of AIPerf's export, llama-bench those of llama-bench's JSON.
` + exitStatus,
		Example: `  trtforge bench fp32=build/fp32 int8=build/int8 --scenario chat=1x64+32 -o results
  trtforge bench pipeline.toml --until 1%
  trtforge bench pytorch=torch:model int8=build/int8 --scenario 1x64+32
  trtforge bench model.onnx --scenario pp=1x512+1 --depth 0,512 --mode all --chunk 128
  trtforge bench 3f2a9c 81d04e --trace requests.jsonl -r 100
  trtforge bench build/demo --scenario 4x27+8 --format benchfmt | benchstat -col /engine -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if opts.Out == "" { // nothing is kept to go on from
				c.Annotations = nil
			}
			return runBench(c.Context(), opts, g, args)
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

// check finds what is wrong with the flags before anything is opened.
func (o *BenchOptions) check() (until float64, err error) {
	usage := func(cause, fix string) (float64, error) { return 0, fault.New(fault.Usage, "", "", cause, fix) }
	if o.Format != "" && !slices.Contains(format.Names, o.Format) {
		return usage(fmt.Sprintf("--format %q", o.Format), "want one of "+strings.Join(format.Names, ", "))
	}
	switch {
	case o.Repetitions < 0 || o.Threads < 0 || o.Most < 0 || o.Warmup < -1 || o.Timeout <= 0:
		return usage("--repetitions, --threads, --most, --warmup and --timeout cannot be negative", "give positive numbers; --warmup -1 tests")
	case o.Text != "" && o.IDs != "":
		return usage("--text and --ids are both prompts", "give one")
	case o.Text != "" && o.Workload.Tokenizer == "":
		return usage("--text needs a tokenizer", "name the checkpoint's directory with --tokenizer, or give token ids with --ids")
	case slices.ContainsFunc(o.Depths, func(d int) bool { return d < 0 }):
		return usage(fmt.Sprintf("--depth %v", o.Depths), "want 0 or more tokens")
	case o.Until == "" && o.Most > 0:
		return usage("--most limits --until, which is not given", "add --until 1%")
	}
	if until, err = trial.ParseUntil(o.Until); err != nil {
		return usage("--until "+err.Error(), "name how near each median is to come")
	}
	return until, nil
}

func runBench(ctx context.Context, o BenchOptions, g *globals, args []string) error {
	until, err := o.check()
	if err != nil {
		return err
	}
	s, err := openStore(g, o.Store, store.View)
	if err != nil {
		return err
	}
	engines, err := pipeline.OpenRunnables(args, s, o.Threads)
	if err != nil {
		return err
	}
	for _, skipped := range engines.Skipped {
		g.Log.Warn("not measured: " + skipped)
	}
	t := trial.Trial{Until: until, Most: o.Most, Timeout: o.Timeout, Dir: o.Out, CreatedBy: createdBy(),
		Versions: map[string]string{"onnxruntime": runtimes.VersionOf("ort")}}
	o.over(&t, engines.Config)
	if t.Cases, err = o.cases(g, engines, t.Repetitions); err != nil {
		return err
	}
	if t.Text, err = o.prompts(engines.Config); err != nil {
		return err
	}
	processes := &task.Processes{Runtimes: &locate{g: g, install: o.Setup}, Timeout: -1}
	defer func() { _ = processes.Close() }()
	if t.Systems, err = processes.Systems(ctx, engines.Engines); err != nil {
		return err
	}
	bar := g.bars.open("bench")
	out, err := t.Run(ctx, bar)
	bar.Done(err)
	if err != nil {
		return err
	}
	g.bars.close()
	if out.Resumed > 0 {
		g.Log.Info(fmt.Sprintf("%d of %d requests were there already", out.Resumed, len(out.Samples)))
	}
	r := format.Run{Samples: out.Samples, Rows: t.Rows(), Machine: out.Machine, Warnings: out.Warnings, CreatedBy: createdBy(), Created: time.Now()}
	for _, e := range engines.Engines {
		r.Engines = append(r.Engines, described(e))
	}
	if o.Out != "" {
		if err := report.Write(o.Out, engines.BenchReport(&t, out, commandLine())); err != nil {
			return err
		}
	}
	return errors.Join(o.print(g, r), nothing(r))
}

// over puts flags in the place of what the pipeline says.
func (o *BenchOptions) over(t *trial.Trial, c *pipeline.Config) {
	t.Repetitions, t.Seed = o.Repetitions, o.Seed
	if o.Warmup >= 0 {
		t.Warmup.Exactly = &o.Warmup
	}
	if c == nil {
		return
	}
	if o.Repetitions == 0 {
		t.Repetitions = c.Run.Repetitions
	}
	if o.Until == "" {
		t.Until = c.Run.Precision()
	}
	if o.Warmup < 0 {
		t.Warmup.Exactly = c.Run.Warmup
	}
	if !o.flags.Changed("seed") {
		o.Seed, t.Seed = c.Run.Seed, c.Run.Seed
	}
}

// print writes the results as the flags ask.
func (o *BenchOptions) print(g *globals, r format.Run) error {
	if o.Format != "" && !g.JSON {
		return format.Write(g.Out, o.Format, r)
	}
	return g.print(format.Document(r), func(w io.Writer) error { return writeBench(w, r) })
}

// described is an engine as formats tell of it.
func described(r *task.Runnable) format.Engine {
	e := format.Engine{Name: r.Name, Backend: r.Backend, Precision: string(r.Precision), File: r.Model.Path}
	if r.Manifest != nil {
		e.Bytes = r.Manifest.Bytes
	} else if info, err := os.Stat(r.Model.Path); err == nil {
		e.Bytes = info.Size()
		if data, err := os.Stat(filepath.Join(r.Model.Path + ".data")); err == nil {
			e.Bytes += data.Size()
		}
	}
	return e
}

// nothing is an error of class runtime where an engine gave no figure at all.
func nothing(r format.Run) error {
	var errs []error
	for _, e := range r.Engines {
		var first *bench.Failure
		good := false
		for _, s := range r.Samples {
			if s.Engine != e.Name {
				continue
			}
			if good = good || s.Failure == nil; first == nil {
				first = s.Failure
			}
		}
		if !good && first != nil {
			errs = append(errs, fault.New(fault.Runtime, "measuring", e.Name, fmt.Sprintf("no request succeeded; the first failed by %s: %s", first.Class, first.Cause),
				"see the footnotes, and `trtforge explain` for what its builder or runtime said"))
		}
	}
	return errors.Join(errs...)
}
