package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/compare"
	"github.com/trtforge/trtforge/internal/fault"
)

// CompareOptions are the flags of compare.
type CompareOptions struct {
	Engines        []string
	Figures        []string
	MaxRegression  []string
	Margin         float64
	Test           string
	Format         string
	AcrossMachines bool
	GitHub         bool
	Seed           uint64
}

// AddFlags declares the flags.
func (o *CompareOptions) AddFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.Engines, "engines", nil, "compare engine `A,B` of one directory, A being the old one")
	f.StringSliceVar(&o.Figures, "figures", nil, "compare figures of these `NAMES` only, as tpot,kl_*")
	f.StringSliceVar(&o.MaxRegression, "max-regression", nil, "fail where a figure got worse by more: `LIMITS`, as 3% (of times, rates and failures) or tpot=2%,kl_*=10%")
	f.Float64Var(&o.Margin, "margin", 0.02, "call a figure unchanged if its ratio's interval lies within this share of 1")
	f.StringVar(&o.Test, "test", "rank", "rank (Mann-Whitney, Wilcoxon for rounds: medians) or permutation (means)")
	f.StringVar(&o.Format, "format", "table", strings.Join(compare.Forms(), ", "))
	f.BoolVar(&o.AcrossMachines, "across-machines", false, "compare times though the machines differ; each is marked")
	f.BoolVar(&o.GitHub, "github", false, "print GitHub annotations on standard error and append to the step's summary")
	f.Uint64Var(&o.Seed, "seed", 1, "of bootstraps and permutations")
}

func newCompareCommand(g *globals) *cobra.Command {
	var opts CompareOptions
	c := &cobra.Command{
		Use:   "compare OLD NEW | --engines A,B DIR",
		Short: "Tell what changed between two measurements, and gate on it",
		Long: `Compare sets NEW against OLD: results directories of run, bench or validate
(rows.jsonl, samples.jsonl, machine.json), or files of rows or samples. Figures are
paired by engine, scenario, phase and name. With --engines it sets two engines of one
directory against each other, round by round where both took turns in the same.

Where both sides kept their samples a rank test decides (exact for few samples,
--test permutation for means), adjusted by Holm over all figures; the change is the
ratio new/old with its 95 % interval, the effect is Cliff's delta. A figure has
improved or regressed, is unchanged (the whole interval lies within --margin, of
accuracy within a tenth of it), or undecided: not enough samples to tell. An engine's
scenario that one side alone has is counted, not listed (csv lists it). Times from
machines that differ are refused, unless --across-machines marks them.

--max-regression is a gate for CI: status 1 where the whole interval of a change lies
beyond the limit, or a held figure is gone, is no number or was refused. The first
limit that names a figure holds.
` + exitStatus,
		Example: `  trtforge compare runs/main runs/branch
  trtforge compare runs/main runs/branch --max-regression 3% --github
  trtforge compare old.jsonl new.jsonl --figures 'tpot,kl_*' --format csv
  trtforge compare --engines ortcpu-fp32,ortcpu-int8 build/demo`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error { return runCompare(opts, g, args) },
	}
	opts.AddFlags(c.Flags())
	return c
}

// comparedRuns is what compare prints as JSON.
type comparedRuns struct {
	*compare.Comparison
	Beyond []compare.Breach `json:"beyond_limit"`
	Open   []string         `json:"not_judged,omitempty"` // worse than the limit, as far as the interval does not tell
}

func runCompare(o CompareOptions, g *globals, args []string) error {
	if err := o.check(args); err != nil {
		return err
	}
	limits, err := compare.ParseLimits(o.MaxRegression)
	if err != nil {
		return err
	}
	c, err := o.compare(args)
	if err != nil {
		return err
	}
	out := comparedRuns{Comparison: c, Beyond: append([]compare.Breach{}, limits.Broken(c)...), Open: limits.Open(c)}
	if idle := limits.Idle(c); len(idle) > 0 {
		return fault.New(fault.Usage, "comparing", strings.Join(args, " and "), "no figure is named "+strings.Join(idle, ", "), "there are "+strings.Join(c.Names(), ", "))
	}
	if n := len(out.Open); n > 0 {
		g.Log.Warn(fmt.Sprintf("not decided, and let pass: %d figures look worse than their limit, and no interval shows it: %s; measure more (bench -r 20, or --until 2%%)", n, strings.Join(out.Open, "; ")))
	}
	if o.GitHub {
		if err := out.github(g.Err); err != nil {
			return err
		}
	}
	if err := g.print(out, func(w io.Writer) error { return c.Write(w, o.Format, out.Beyond) }); err != nil {
		return err
	}
	if n := len(out.Beyond); n > 0 {
		return printed{fault.New(fault.Gate, "comparing", strings.Join(args, " and "), fmt.Sprintf("%d figures are beyond their limit", n), "")}
	}
	return nil
}

// check finds what cannot be asked for.
func (o CompareOptions) check(args []string) error {
	usage := func(cause, fix string) error { return fault.New(fault.Usage, "", "", cause, fix) }
	switch {
	case len(o.Engines) == 0 && len(args) != 2:
		return usage("there is nothing to compare "+args[0]+" with", "name OLD and NEW, or two engines of it with --engines A,B")
	case len(o.Engines) > 0 && len(o.Engines) != 2:
		return usage(fmt.Sprintf("--engines names %d", len(o.Engines)), "name two, as --engines A,B")
	case len(o.Engines) > 0 && len(args) != 1:
		return usage("--engines compares inside one directory, and two are named", "leave one out")
	case o.Test != "rank" && o.Test != "permutation":
		return usage(fmt.Sprintf("--test %q", o.Test), "want rank or permutation")
	case !(o.Margin > 0 && o.Margin < 1):
		return usage(fmt.Sprintf("--margin %g", o.Margin), "want a share between 0 and 1, as 0.02")
	}
	for _, form := range compare.Forms() {
		if o.Format == form {
			return nil
		}
	}
	return usage(fmt.Sprintf("--format %q", o.Format), "want one of "+strings.Join(compare.Forms(), ", "))
}

func (o CompareOptions) compare(args []string) (*compare.Comparison, error) {
	options := compare.Options{Margin: o.Margin, Permutation: o.Test == "permutation", AcrossMachines: o.AcrossMachines, Figures: o.Figures, Seed: o.Seed}
	var sides []*compare.Results
	for _, path := range args {
		r, err := compare.Read(path)
		if err != nil {
			return nil, err
		}
		sides = append(sides, r)
	}
	if len(o.Engines) > 0 {
		return compare.Engines(sides[0], o.Engines[0], o.Engines[1], options)
	}
	return compare.Runs(sides[0], sides[1], options)
}

// github writes annotations, and the Markdown form to the summary of the step that
// runs this.
func (c comparedRuns) github(w io.Writer) error {
	if err := c.Annotate(w, c.Beyond); err != nil {
		return err
	}
	return addSummary(func(w io.Writer) error { return c.Write(w, "markdown", c.Beyond) })
}
