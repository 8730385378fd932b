package main

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/pipeline"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/task"
)

// WorkloadFlags say what a deployment will be asked for: the flags that every
// command about demand shares.
type WorkloadFlags struct {
	Scenarios []string
	File      string
	Trace     string
	Lengths   string
	Mode      string
	BatchMax  int
	Batches   []int
	Chunk     int
	FeedLast  bool
	Padded    bool
	SkipBad   bool
	DropLong  bool
	Tokenizer string

	flags *pflag.FlagSet
	each  func(prompt, fresh int) // is told every request of a trace
}

// AddFlags declares the flags.
func (o *WorkloadFlags) AddFlags(f *pflag.FlagSet) {
	o.flags = f
	f.StringArrayVar(&o.Scenarios, "scenario", nil, "a kind of request, `NAME=BATCHxPROMPT+NEW[@WEIGHT]`, such as chat=4x27+8; may be repeated")
	f.StringVar(&o.File, "workload", "", "the [workload] of a TOML `FILE`, such as a pipeline")
	f.StringVar(&o.Trace, "trace", "", "requests in a `FILE` of JSON lines, a JSON array or CSV, with the field names of AIPerf, trtllm-bench, vLLM, OpenAI, Azure, BurstGPT or ShareGPT")
	f.StringVar(&o.Lengths, "lengths", "", "requests of a distribution, `PROMPT+NEW`, each N, uniform:LO..HI, lognormal:median=M,p95=P,max=N or hist:LEN=COUNT,...")
	f.StringVar(&o.Mode, "mode", "", "how tokens are generated: cached (the default), uncached or both")
	f.IntVar(&o.BatchMax, "batch-max", 0, "requests without a batch come in every batch size up to `N`")
	f.IntSliceVar(&o.Batches, "batches", nil, "requests without a batch come in these batch `SIZES`, such as 1,4,8")
	f.IntVar(&o.Chunk, "chunk", 0, "prompts are taken in chunks of `N` tokens; 0 takes them whole")
	f.BoolVar(&o.FeedLast, "feed-last", false, "the last generated token is fed too, one step more a request")
	f.BoolVar(&o.Padded, "padded-past", false, "past begins with one masked column, for builders that refuse a dimension of 0")
	f.BoolVar(&o.SkipBad, "skip-bad", false, "leave out the lines of a trace that hold no request, rather than refuse it")
	f.BoolVar(&o.DropLong, "drop-long", false, "leave out requests of a trace or distribution that are longer than the model's positions")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "the `MODEL_DIR` whose tokenizer counts the texts of a trace")
}

// Given tells whether any flag says what is asked for.
func (o *WorkloadFlags) Given() bool {
	return len(o.Scenarios) > 0 || o.File != "" || o.Trace != "" || o.Lengths != ""
}

// Idle tells whether a flag changes a workload that no flag gives.
func (o *WorkloadFlags) Idle() bool {
	rest := *o
	rest.flags, rest.each = nil, nil
	return !o.Given() && !reflect.DeepEqual(rest, WorkloadFlags{})
}

// Read is the workload that the flags describe, its trace and lengths read.
// Flags win over the file. positions is the model's, 0 = not known. What was left
// out of a trace is said.
func (o *WorkloadFlags) Read(g *globals, positions int) (profiles.Workload, []profiles.Problem, error) {
	var w profiles.Workload
	var errs []error
	if o.flags != nil && o.flags.Changed("batch-max") && o.BatchMax < 1 {
		return w, nil, fault.New(fault.Usage, "", "", fmt.Sprintf("--batch-max %d", o.BatchMax), "want 1 or more")
	}
	if o.File != "" {
		var err error
		if w, err = pipeline.LoadWorkload(o.File); err != nil {
			return w, nil, err
		}
	}
	for _, text := range o.Scenarios {
		s, err := profiles.ParseScenario(text)
		errs = append(errs, err)
		w.Scenarios = append(w.Scenarios, s)
	}
	if err := errors.Join(errs...); err != nil {
		return w, nil, err
	}
	o.over(&w)
	read := profiles.TraceOptions{SkipBad: o.SkipBad, Each: o.each}
	if o.Tokenizer != "" {
		read.Tokens = task.TextTokens(o.Tokenizer)
	}
	problems, err := w.Open(read, positions)
	if err != nil {
		return w, problems, err
	}
	for _, p := range problems {
		g.Log.Warn(fmt.Sprintf("%s: left out %s", w.Trace, p))
	}
	return w, problems, nil
}

// over puts what the flags say in the place of what the file says.
func (o *WorkloadFlags) over(w *profiles.Workload) {
	for _, v := range []struct {
		flag string
		to   *string
	}{{o.Trace, &w.Trace}, {o.Lengths, &w.Lengths}} {
		if v.flag != "" {
			*v.to = v.flag
		}
	}
	if o.Mode != "" {
		w.Mode = profiles.Mode(o.Mode)
	}
	if o.BatchMax != 0 || len(o.Batches) > 0 {
		w.BatchMax, w.Batches = o.BatchMax, o.Batches
	}
	if o.Chunk != 0 {
		w.Chunk = o.Chunk
	}
	w.FeedLast = w.FeedLast || o.FeedLast
	w.PaddedPast = w.PaddedPast || o.Padded
	w.DropLong = w.DropLong || o.DropLong
}
