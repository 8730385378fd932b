package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/text"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

// MeasureOptions are the flags of quantize that run the model.
type MeasureOptions struct {
	Sensitivity bool
	Parts       bool
	Search      bool
	Gate        search.Gate
	Budget      int
	budgetSet   bool
	Text        string
	IDs         string
	Calibration string
	Tokenizer   string
	Windows     int
	Length      int
	Threads     int
	Timeout     time.Duration
	Setup       bool
}

// AddFlags declares the flags.
func (o *MeasureOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.Sensitivity, "sensitivity", false, "measure what each product costs alone, of all roles but lm_head where --roles names none; what is written does not depend on it; needs --text")
	f.BoolVar(&o.Parts, "parts", false, "with --sensitivity or --search: what its activation and its weight cost apart, too")
	f.BoolVar(&o.Search, "search", false, "quantize as much as --ppl-ratio-max and --kl-max allow; needs --text")
	f.Float64Var(&o.Gate.PPLRatioMax, "ppl-ratio-max", 0, "with --search: the most that perplexity may grow, as `RATIO` to the float model's, like 1.01")
	f.Float64Var(&o.Gate.KLMax, "kl-max", 0, "with --search: the most that the mean KL divergence from the float model may be, in `NATS` a token")
	f.IntVar(&o.Budget, "budget", 0, "with --search: stop trying choices after `N` measurements; those of each product alone and of the greedy choice count, and are made in any case, as are confirmations (default all 2^n of up to 10 products, six a product beyond)")
	f.StringVar(&o.Text, "text", "", "a `FILE` of text in UTF-8 to measure on")
	f.StringVar(&o.IDs, "ids", "", "a `FILE` of token ids instead: whole numbers with spaces or commas between")
	f.StringVar(&o.Calibration, "calibration", "", "the `FILE` of text that --table comes from: measuring on any of it is refused")
	f.StringVar(&o.Tokenizer, "tokenizer", "", "the `DIR` with tokenizer.json, or vocab.json and merges.txt (default: the model's)")
	f.IntVar(&o.Windows, "windows", 8, "windows of the text that are measured, `N`, spread over all of it; a search confirms its choice on as many more")
	f.IntVar(&o.Length, "window", 0, "their length in `TOKENS` (default 64, or the model's positions)")
	f.IntVar(&o.Threads, "threads", 0, "threads of ONNX Runtime; 0 for as many as the machine grants")
	f.DurationVar(&o.Timeout, "timeout", 0, "give up measuring after this `TIME`; 0 for never")
	f.BoolVar(&o.Setup, "setup", false, "install ONNX Runtime where it is missing instead of ending with status 3")
}

func (o MeasureOptions) asked() bool { return o.Sensitivity || o.Search }

// check finds flags that contradict each other.
func (o MeasureOptions) check(p quant.Precision) error {
	usage := func(cause, fix string) error { return fault.New(fault.Usage, "", "", cause, fix) }
	gate := o.Gate != (search.Gate{})
	switch {
	case o.Budget < 0 || o.budgetSet && o.Budget == 0:
		return usage(fmt.Sprintf("--budget %d is no number of measurements", o.Budget), "give 1 or more, or leave it out")
	case o.budgetSet && !o.Search:
		return usage("--budget limits a search, and none is asked for", "add --search")
	case o.Threads < 0 || o.Length < 0 || o.Windows < 1:
		return usage(fmt.Sprintf("%d windows of %d tokens on %d threads cannot be", o.Windows, o.Length, o.Threads), "give positive numbers; --threads 0 and --window 0 are the defaults")
	case !o.asked() && (o.Text != "" || o.IDs != "" || o.Calibration != "" || gate || o.Parts):
		return usage("--text, --ids, --calibration, --parts and the limits belong to a measurement, and none is asked for", "add --sensitivity or --search")
	case !o.asked():
		return nil
	case !p.Quantizes():
		return usage(fmt.Sprintf("%s quantizes no product, so there is nothing to measure", p), "choose --precision int8 or w8")
	case (o.Text == "") == (o.IDs == ""):
		return usage("what to measure on is not clear", "give either --text or --ids")
	case o.Search && !gate:
		return usage("--search has no limit to hold", "give --ppl-ratio-max 1.01, or --kl-max")
	case !o.Search && gate:
		return usage("--ppl-ratio-max and --kl-max are limits of a search, and none is asked for", "add --search")
	}
	if o.Search {
		return fault.Wrap(fault.Usage, "", "", o.Gate.Check(), "give --ppl-ratio-max 1.01, or --kl-max 0.001")
	}
	return nil
}

// search measures, and where a choice was asked for puts it into the recipe.
func (o QuantizeOptions) search(ctx context.Context, g *globals, path string, m *onnx.Model, table *calib.Table, r *quant.Recipe) (*search.Result, error) {
	c, err := infer(m, o.Bind)
	if err != nil {
		return nil, err
	}
	ids, err := o.Measure.ids(path)
	if err != nil {
		return nil, err
	}
	if table != nil && table.Text == validate.IDsDigest(ids) {
		g.Log.Warn("the text is the one that the ranges come from: on other text the choice may cost more")
	}
	runtime, err := (&locate{g: g, install: o.Measure.Setup}).Get(ctx, "ort")
	if err != nil {
		return nil, err
	}
	client := &ort.Client{Library: runtime.Library, Run: -1}
	if o.Measure.Timeout > 0 {
		client.Run = o.Measure.Timeout
	}
	defer func() { _ = client.Close() }()
	measured := *r
	measured.Choices = nil // a list is measured among all candidates
	if measured.Roles == nil {
		measured.Roles = []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2}
	}
	s := task.Search{
		Model: m, Contract: c, Table: table, Recipe: measured, IDs: ids, Windows: o.Measure.Windows, Length: o.Measure.Length,
		Parts: o.Measure.Parts, Gate: o.Measure.Gate, Budget: o.Measure.Budget, Threads: o.Measure.Threads, Dir: o.Out,
	}
	if o.DryRun {
		s.Dir = "" // the system's place for what is temporary
	} else if err := makeParent(filepath.Join(o.Out, quant.ModelFile)); err != nil {
		return nil, err
	}
	bar := g.bars.open("measure")
	found, _, err := s.Run(ctx, client, bar)
	bar.Done(err)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == nil && o.Measure.Search {
		r.Choices, r.ChosenBy = task.Choices(found), "the search"
	}
	return found, err
}

// ids are the tokens to measure on. path is the model's.
func (o MeasureOptions) ids(path string) ([]int, error) {
	var measured calib.Text
	var ids []int
	if o.IDs != "" {
		wide, err := text.IDs(o.IDs)
		for _, id := range wide {
			ids = append(ids, int(id))
		}
		if err != nil || o.Calibration == "" {
			return ids, err
		}
		measured = calib.Text{Name: o.IDs, IDs: wide}
	}
	t, err := o.load(path)
	if err != nil {
		return nil, err
	}
	if o.Text != "" {
		if ids, err = task.Tokens(t, o.Text); err != nil || o.Calibration == "" {
			return ids, err
		}
		measured = task.TextOf(t, o.Text, ids)
	}
	seen, err := task.Tokens(t, o.Calibration)
	if err != nil {
		return nil, err
	}
	return ids, calib.Overlap(task.TextOf(t, o.Calibration, seen), measured)
}

// load loads the tokenizer that is named, or the one beside the model.
func (o MeasureOptions) load(path string) (*bpe.Tokenizer, error) {
	dir := o.Tokenizer
	if dir == "" {
		if dir = filepath.Dir(path); isDir(path) {
			dir = path
		}
		for _, file := range bpe.Files(dir) {
			if _, err := os.Stat(file); err != nil {
				return nil, fault.New(fault.Usage, "looking for", "the tokenizer", fmt.Sprintf("the model's directory has no %s", filepath.Base(file)),
					"name the checkpoint's directory with --tokenizer, or give token ids with --ids")
			}
		}
	}
	return bpe.Load(dir)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
