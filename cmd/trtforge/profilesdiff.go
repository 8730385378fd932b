package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// DiffOptions are the flags of profiles diff.
type DiffOptions struct {
	GraphFlags
	ExitCode bool
	FromA    string
	FromB    string
}

// AddFlags declares the flags.
func (o *DiffOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.ExitCode, "exit-code", false, "end with status 1 if they differ")
	f.StringVar(&o.FromA, "from-a", "", "read A as `FORM`, see profiles show --from")
	f.StringVar(&o.FromB, "from-b", "", "read B as `FORM`")
	o.GraphFlags.AddFlags(f)
}

func newProfilesDiffCommand(g *globals) *cobra.Command {
	var opts DiffOptions
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare profiles by meaning, in whatever form they are",
		Long: `Diff compares two files of profiles, each a plan, an engine's manifest, ONNX
Runtime's .profile, or text of any tool's syntax. Profiles are matched by what they
hold; the order of inputs does not count, the order of profiles does, for some
runtimes reach the first only. Sizes that a .profile does not tell are not compared,
and counted; --model fills them in.

Where one of the files is a plan and a graph is named, the plan's demand is replayed
against both: what loses its profile, and what gains one.
` + exitStatus,
		Example: `  trtforge profiles diff old/plan.json new/plan.json
  trtforge profiles diff --exit-code plan.json profiles.lock
  trtforge profiles diff plan.json engine_sm89.profile --model model.onnx`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return runDiff(opts, g, args[0], args[1], c.InOrStdin()) },
	}
	opts.AddFlags(c.Flags())
	return c
}

// comparedProfiles is what diff prints as JSON.
type comparedProfiles struct {
	Same bool `json:"same"`
	profiles.Diff
	Lost   []profiles.Gap `json:"lost,omitempty"`   // demand that A holds and B does not
	Gained []profiles.Gap `json:"gained,omitempty"` // the other way round
	Notes  []string       `json:"notes,omitempty"`
}

func runDiff(o DiffOptions, g *globals, pathA, pathB string, in io.Reader) error {
	if pathA == "-" && pathB == "-" {
		return fault.New(fault.Usage, "", "", "A and B cannot both be standard input", "name one file")
	}
	c, err := o.load()
	if err != nil {
		return err
	}
	a, err := loadProfiles(pathA, o.FromA, c, in)
	if err != nil {
		return err
	}
	b, err := loadProfiles(pathB, o.FromB, c, in)
	if err != nil {
		return err
	}
	out := comparedProfiles{Diff: profiles.Compare(a.Profiles, b.Profiles, profiles.Partial{A: a.Partial, B: b.Partial})}
	out.Same = out.Diff.Same()
	out.coverage(a, b, c)
	if out.Unknown > 0 {
		out.Notes = append(out.Notes, fmt.Sprintf("%d sizes were not compared: a .profile tells dynamic dimensions only; --model fills them in", out.Unknown))
	}
	if err := g.print(out, out.write); err != nil {
		return err
	}
	if o.ExitCode && !out.Same {
		return printed{fault.New(fault.Gate, "comparing", pathA+" and "+pathB, "they differ", "")}
	}
	return nil
}

// coverage replays the demand of a plan, B's where both are plans, against both.
func (d *comparedProfiles) coverage(a, b *loadedProfiles, c *contract.Contract) {
	plan := b.Plan
	if plan == nil {
		plan = a.Plan
	}
	if plan == nil || d.Same {
		return
	}
	if c == nil {
		d.Notes = append(d.Notes, "which demand gains or loses its profile is told with --model")
		return
	}
	before := profiles.Check(c, a.Profiles, plan.Demand, a.reach())
	after := profiles.Check(c, b.Profiles, plan.Demand, b.reach())
	d.Lost, d.Gained = gapsBeyond(after, before), gapsBeyond(before, after)
}

// gapsBeyond is the gaps of a whose shape is not among those of b.
func gapsBeyond(a, b []profiles.Gap) (all []profiles.Gap) {
	known := map[profiles.Shape]bool{}
	for _, gap := range b {
		known[gap.Shape] = true
	}
	for _, gap := range a {
		if !known[gap.Shape] {
			all = append(all, gap)
		}
	}
	return all
}

// shownGaps bounds how many shapes are printed one by one.
const shownGaps = 10

func (d *comparedProfiles) write(w io.Writer) error {
	for _, line := range d.Lines() {
		_, _ = fmt.Fprintln(w, line)
	}
	if d.Same {
		_, _ = fmt.Fprintln(w, "the same profiles")
	}
	for _, v := range []struct {
		word string
		gaps []profiles.Gap
	}{{"lost", d.Lost}, {"gained", d.Gained}} {
		for i, gap := range v.gaps {
			if i == shownGaps {
				_, _ = fmt.Fprintf(w, "%s: and %d more\n", v.word, len(v.gaps)-i)
				break
			}
			_, _ = fmt.Fprintf(w, "%s: %s: %s\n", v.word, gap.Shape, gap)
		}
	}
	for _, note := range d.Notes {
		_, _ = fmt.Fprintf(w, "note: %s\n", note)
	}
	return nil
}
