package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/calib/tableio"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/task"
)

// QuantizeOptions are the flags of quantize.
type QuantizeOptions struct {
	Out       string
	Precision string
	Table     string
	Roles     []string
	Include   string
	Exclude   string
	Smooth    string
	KeepKV    bool
	Decisions string
	IO        []string
	Bind      []string
	DryRun    bool
	HTML      string
	Measure   MeasureOptions
}

// AddFlags declares the flags.
func (o *QuantizeOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Out, "out", "o", "", "the `DIR` that gets model.onnx, its weights, contract.json, decisions.json and table.json (that of the smoothed graph); those of a graph that stood there go")
	f.StringVar(&o.Precision, "precision", "", "what the graph computes in: "+strings.Join(precisionNames(), ", ")+" (default int8, or that of --decisions)")
	f.StringVar(&o.Table, "table", "", "the calibrated ranges in `FILE`, as calibrate wrote them, which int8 needs; fp16 keeps in float32 what does not fit")
	f.StringSliceVar(&o.Roles, "roles", nil, "the kinds of matrix products that become INT8: qkv, scores, values, attn_out, fc1, fc2, lm_head, other (default qkv,fc1; with --search or w8 all but lm_head)")
	f.StringVar(&o.Include, "include", "", "take the nodes whose name matches `REGEX` whatever their role")
	f.StringVar(&o.Exclude, "exclude", "", "leave the nodes whose name matches `REGEX` alone")
	f.StringVar(&o.Smooth, "smooth", "", "how far outliers move from activations to weights: auto, off or an alpha from 0 to 1 (default auto, or that of --decisions)")
	f.BoolVar(&o.KeepKV, "keep-kv", false, "move no outliers out of attention's values, so that the cache stays interchangeable with the float model's")
	f.StringVar(&o.Decisions, "decisions", "", "take exactly the choice in `FILE`, a decisions.json that may have been edited")
	f.StringArrayVar(&o.IO, "io", nil, "types of inputs and outputs of a narrow graph: fp32, fp16 or bf16 for all, `NAME=TYPE` for one, kv=TYPE for the cache; may be repeated")
	addBind(f, &o.Bind)
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would become of each product, and write nothing")
	f.StringVar(&o.HTML, "html", "", "write a page to `FILE`: what became of each product, what it costs, and the frontier of a search")
	o.Measure.AddFlags(f)
}

func precisionNames() []string {
	var names []string
	for _, p := range quant.Precisions {
		names = append(names, string(p))
	}
	return names
}

func newQuantizeCommand(g *globals) *cobra.Command {
	var opts QuantizeOptions
	c := &cobra.Command{
		Use:   "quantize MODEL -o DIR",
		Short: "Make the typed graph: FP16, BF16, INT8 by Q/DQ, or INT8 weights",
		Long: `Quantize turns a float32 graph (an .onnx file, or the directory of an export) into
one whose types all stand in it, which means the same on ONNX Runtime, TensorRT and
TensorRT for RTX: no builder flags, no calibration cache. Weights stream, so memory
does not depend on the model's size.

INT8 takes the matrix products of --roles, both operands, symmetric, one scale a
tensor for activations and one an output channel for weights. decisions.json says of
every product what became of it and why; it can be edited and given back with
--decisions, which then decides alone.

--sensitivity measures what each product costs alone, as KL divergence from the
float model on windows of --text. --search then chooses: the most bytes that hold
--ppl-ratio-max and --kl-max, with the upper end of the 95 % interval, confirmed on
windows that the search does not see. Up to 10 products the choice is exact, beyond
that never less than the greedy one by sensitivity. What is written is measured once
more as it is; where nothing holds the limits, nothing is written and the status is 1.
The text should be neither what
ranges come from nor what is evaluated.
` + exitStatus,
		Example: `  trtforge quantize build/gpt2 -o build/int8 --table table.json
  trtforge quantize build/gpt2 -o build/fp16 --precision fp16 --io kv=fp32
  trtforge quantize build/gpt2 -o build/best --precision int8+fp16 --table table.json --search --text held-out.txt --tokenizer gpt2/ --ppl-ratio-max 1.01 --html search.html
  trtforge quantize build/gpt2 -o build/mine --table table.json --decisions edited.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts.Measure.budgetSet = c.Flags().Changed("budget")
			return runQuantize(c.Context(), opts, g, args[0])
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

func runQuantize(ctx context.Context, o QuantizeOptions, g *globals, path string) error {
	list, r, err := o.recipe()
	if err != nil {
		return err
	}
	table, err := o.ranges(g)
	if err != nil {
		return err
	}
	m, err := loadGraph(path)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	if err := o.apart(path); err != nil {
		return err
	}
	if list != nil {
		digest, err := m.Digest()
		if err != nil {
			return err
		}
		if err := list.Fits(digest); err != nil {
			return err
		}
	}
	var found *search.Result
	if o.Measure.asked() {
		_, before := os.Stat(o.Out)
		found, err = o.search(ctx, g, path, m, table, &r)
		if !o.DryRun && errors.Is(before, fs.ErrNotExist) {
			_ = os.Remove(o.Out) // where the probe lay
		}
		if err != nil {
			return err
		}
		o.DryRun = o.DryRun || found.Err() != nil // then it is shown, and not written
	}
	return o.finish(g, m, table, r, found)
}

// ranges reads --table. Files that another command makes a table of are told.
func (o QuantizeOptions) ranges(g *globals) (*calib.Table, error) {
	if o.Table == "" {
		return nil, nil
	}
	table, err := calib.ReadFile(o.Table)
	if err == nil {
		if table.Text == calib.RandomText {
			g.Log.Warn("the ranges are those of random token ids, not of text: accuracy on text is not what they promise", "table", o.Table)
		}
		return table, nil
	}
	head, failed := headOf(o.Table)
	if failed != nil {
		return nil, err
	}
	const doing = "reading the calibration table"
	if isObservations(o.Table, head) {
		return nil, fault.New(fault.Input, doing, o.Table, "it holds observations, of which a method has not made a table yet", "make one: trtforge calibrate merge "+o.Table+" -o table.json")
	}
	if form := tableio.Detect(head); form != "" && form != tableio.JSON {
		return nil, fault.New(fault.Input, doing, o.Table, fmt.Sprintf("its form is another tool's (%s)", form), "translate it: trtforge calibrate convert "+o.Table+" --to json --model MODEL -o table.json")
	}
	return nil, err
}

// finish applies the recipe, writes what it gives and prints what was done.
func (o QuantizeOptions) finish(g *globals, m *onnx.Model, table *calib.Table, r quant.Recipe, found *search.Result) error {
	out, err := quant.Apply(m, table, r)
	if err != nil {
		return err
	}
	d, err := quant.NewDecisions(out, r, table)
	if err != nil {
		return err
	}
	task.AddEffects(d, found)
	bound, err := bindings(o.Bind)
	if err != nil {
		return err
	}
	if !o.DryRun {
		_, before := os.Stat(o.Out)
		if err := quant.Write(o.Out, createdBy(), out, d, bound...); err != nil {
			if errors.Is(before, fs.ErrNotExist) {
				_ = os.Remove(o.Out) // where nothing got into it
			}
			return err
		}
	}
	s := summarise(o, m, out, d, found)
	if r.Precision.Quantizes() && s.Quantized == 0 && !o.Measure.Search {
		g.Log.Warn("nothing is quantized: the graph is the float one", "products", s.Products)
	}
	if o.HTML != "" {
		if err := s.page(o.HTML, d); err != nil {
			return err
		}
	}
	failed := found.Err()
	if failed != nil {
		p := describe(failed)
		s.Error = &p
	}
	if err := g.print(s, s.write); err != nil || failed == nil {
		return err
	}
	if g.JSON {
		return printed{failed}
	}
	return failed
}

// recipe reads the flags, and the decision list where one is given.
func (o QuantizeOptions) recipe() (*quant.Decisions, quant.Recipe, error) {
	r := quant.Recipe{Precision: quant.Precision(o.Precision), Smooth: quant.Smoothing(o.Smooth), KeepKV: o.KeepKV, IO: o.IO}
	usage := func(cause, fix string) (*quant.Decisions, quant.Recipe, error) {
		return nil, r, fault.New(fault.Usage, "", "", cause, fix)
	}
	if o.Out == "" && !o.DryRun {
		return usage("where the graph goes is not said", "name a directory with -o, or only look with --dry-run")
	}
	var list *quant.Decisions
	if o.Decisions != "" {
		if len(o.Roles) > 0 || o.Include != "" || o.Exclude != "" || o.Measure.Search {
			return usage("--decisions decides alone, and --roles, --include, --exclude or --search would decide, too", "edit the file instead")
		}
		var err error
		if list, err = quant.ReadDecisionsFile(o.Decisions); err != nil {
			return nil, r, err
		}
		r.Choices = list.Choices()
		if o.Precision == "" {
			r.Precision = list.Precision
		}
		if o.Smooth == "" {
			r.Smooth = list.Smooth
		}
		r.KeepKV = r.KeepKV || list.KeepKV
		if len(o.IO) == 0 {
			r.IO = list.IO
		}
	}
	if r.Precision == "" {
		r.Precision = quant.INT8
	}
	if err := r.Precision.Check(); err != nil {
		return nil, r, err
	}
	if err := r.Smooth.Check(); err != nil {
		return nil, r, err
	}
	if !r.Precision.Quantizes() && (list != nil || len(o.Roles) > 0 || o.Include != "" || o.Exclude != "" || o.Smooth != "" || o.KeepKV) {
		return usage(fmt.Sprintf("%s quantizes no product, and --decisions, --roles, --include, --exclude, --smooth and --keep-kv are about products that are quantized", r.Precision), "leave them out, or choose --precision int8 or w8")
	}
	return list, r, o.names(&r)
}

// names reads what says which nodes are meant.
func (o QuantizeOptions) names(r *quant.Recipe) error {
	for _, role := range o.Roles {
		if err := quant.Role(role).Check(); err != nil {
			return err
		}
		r.Roles = append(r.Roles, quant.Role(role))
	}
	for _, p := range []struct {
		flag, text string
		to         **regexp.Regexp
	}{{"--include", o.Include, &r.Include}, {"--exclude", o.Exclude, &r.Exclude}} {
		if p.text == "" {
			continue
		}
		re, err := regexp.Compile(p.text)
		if err != nil {
			return fault.New(fault.Usage, "", "", fmt.Sprintf("%s %q is no regular expression: %v", p.flag, p.text, err), "escape what stands for itself with a backslash")
		}
		*p.to = re
	}
	return o.Measure.check(r.Precision)
}

// apart refuses to write where the model is read from: its weights would be
// replaced while they are read.
func (o QuantizeOptions) apart(path string) error {
	if o.DryRun {
		return nil
	}
	file, err := graphFile(path)
	if err != nil {
		return err
	}
	into, err := os.Stat(o.Out)
	from, err2 := os.Stat(filepath.Dir(file))
	if err != nil || err2 != nil { // what is not there is not overwritten
		return nil
	}
	if !into.IsDir() {
		return fault.New(fault.Usage, "quantizing", path, "-o "+o.Out+" is a file, and a directory is wanted", "name a directory with -o")
	}
	if os.SameFile(into, from) {
		return fault.New(fault.Usage, "quantizing", path, "the output directory is the model's own, and its weights would be replaced while they are read", "choose another directory with -o")
	}
	return fsx.Sweep(o.Out)
}
