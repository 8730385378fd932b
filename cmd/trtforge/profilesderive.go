package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/profiles"
)

// DeriveOptions are the flags of profiles derive.
type DeriveOptions struct {
	Workload WorkloadFlags
	Out      string
	Strategy string
	Max      int
	Backend  string
	Version  string
	Opt      string
	Capacity int
	Bind     []string
}

// AddFlags declares the flags.
func (o *DeriveOptions) AddFlags(f *pflag.FlagSet) {
	o.Workload.AddFlags(f)
	f.StringVarP(&o.Out, "out", "o", "", "write the plan to `FILE`")
	f.StringVar(&o.Strategy, "strategy", "auto", "how the demand is divided: "+strings.Join(profiles.Strategies, ", "))
	f.IntVar(&o.Max, "max-profiles", 0, "at most `K` profiles; 0 sets no limit, and 8 for bucketed and static-kv, which make 256 at most")
	f.StringVar(&o.Backend, "backend", "", "what runs the engine, which decides the profiles that can be reached: "+strings.Join(profiles.Backends(), ", "))
	f.StringVar(&o.Version, "backend-version", "", "its `VERSION`; the newest that is known unless given")
	f.StringVar(&o.Opt, "opt", "", "where a wide profile has its optimum: decode (the default), prefill or median")
	f.IntVar(&o.Capacity, "capacity", 0, "columns of a cache buffer whose length the graph leaves open; 0 is what the demand needs")
	addBind(f, &o.Bind)
}

func newProfilesDeriveCommand(g *globals) *cobra.Command {
	var opts DeriveOptions
	c := &cobra.Command{
		Use:   "derive MODEL.onnx|contract.json|DIR",
		Short: "Make the profiles that hold everything a workload will ask for",
		Long: `Derive replays a workload (scenarios, a trace of requests, a distribution of
lengths) on paper: every shape that prefill and decode will ask for. It then chooses
minimum, optimum and maximum of each profile and proves that each shape lies in a
profile that the backend can reach. It shows what each profile serves, how far its
passes are from the shape that its kernels are chosen for, and the memory of its
maximum, before anything is built.

wide is one profile over everything; phase has one for prefill and one for decode;
bucketed divides each phase into the lengths that cost the least; static has a
profile for each shape; static-kv is for a cache of fixed length; auto takes the
cheapest that the backend can reach.
` + exitStatus,
		Example: `  trtforge profiles derive build/gpt2 --scenario chat=1x27+8 --scenario four=4x19+8 -o plan.json
  trtforge profiles derive model.onnx --trace requests.jsonl --batch-max 8 --strategy bucketed --max-profiles 6
  trtforge profiles derive model.onnx --lengths lognormal:median=180,p95=700,max=896+uniform:16..128 --backend orttrt`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runProfilesDerive(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	return c
}

// derived is what derive prints.
type derived struct {
	Plan     string             `json:"plan,omitempty"` // where it was written
	Strategy string             `json:"strategy"`
	Reach    profiles.Reach     `json:"reach"`
	Why      string             `json:"reach_reason,omitempty"`
	Shapes   int                `json:"shapes"`
	Profiles []profiles.Line    `json:"profiles"`
	Estimate *profiles.Cost     `json:"estimate"`
	Notes    []string           `json:"notes,omitempty"`
	LeftOut  []profiles.Problem `json:"left_out,omitempty"` // of the trace
}

func runProfilesDerive(opts DeriveOptions, g *globals, model string) error {
	c, weights, err := readContract(model, opts.Bind)
	if err != nil {
		return err
	}
	reach := profiles.Runtime{Reach: profiles.Any, Note: "no backend named: any profile can be reached"}
	if opts.Backend == "" && opts.Version != "" {
		return fault.New(fault.Usage, "", "", "--backend-version "+opts.Version+" of no backend", "name it: --backend NAME")
	}
	if opts.Backend != "" {
		if reach, err = profiles.ReachOf(opts.Backend, opts.Version); err != nil {
			return err
		}
	}
	w, problems, err := opts.Workload.Read(g, c.MaxPositions)
	if err != nil {
		return err
	}
	p, err := profiles.Derive(c, w, profiles.Options{
		Strategy: opts.Strategy, Reach: reach.Reach, Backend: opts.Backend, MaxProfiles: opts.Max, CreatedBy: createdBy(),
		Opt: opts.Opt, WeightBytes: weights, Capacity: opts.Capacity,
	})
	if err != nil {
		return err
	}
	if opts.Out != "" {
		if err := p.Save(opts.Out); err != nil {
			return err
		}
	}
	out := derived{opts.Out, p.Strategy, p.Reach, reach.Note, profiles.Distinct(p.Demand), p.Lines(c), p.Estimate, p.Notes, problems}
	return g.print(out, out.write)
}

func (d derived) write(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, all inside %s (strategy %s)\n\n", plural(d.Shapes, "distinct shape"), plural(len(d.Profiles), "profile"), d.Strategy)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "\tPROFILE\tBATCH\tSEQ\tPAST\tPASSES\tFROM OPT\tFROM MAX\tMEMORY\tKV IN\tKV OUT\tLOGITS\tACTIVATIONS")
	for i, l := range d.Profiles {
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%.1f %%\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", i, l.Name, ends(l.Batch), ends(l.Seq), ends(l.Past),
			100*l.Share, tokens(l.FromOpt), tokens(l.FromMax), sizeOf(l.Total), sizeOf(l.Memory.KVIn), sizeOf(l.Memory.KVOut), sizeOf(l.Memory.Logits), sizeOf(l.Memory.Activations))
	}
	_ = t.Flush() // of a builder never fails
	b.WriteString("\nmin-opt-max; FROM: new and past tokens between a pass and optimum or maximum; memory at the maximum,\nwithout weights, activations estimated\n")
	if d.Why != "" {
		fmt.Fprintf(&b, "reach %s: %s\n", d.Reach, d.Why)
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	if d.Plan != "" {
		fmt.Fprintln(&b, d.Plan)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// ends is a range as min-opt-max, or its only value.
func ends(s profiles.Span) string {
	if s.Min == s.Max {
		return fmt.Sprint(s.Min)
	}
	return fmt.Sprintf("%d-%d-%d", s.Min, s.Opt, s.Max)
}

// tokens is the new and the past ones.
func tokens(w profiles.Waste) string { return fmt.Sprintf("%.1f + %.1f", w.Seq, w.Past) }

// sizeOf is a size in the unit that suits it.
func sizeOf(n int64) string {
	switch v := float64(n); {
	case v < 1e3:
		return fmt.Sprintf("%d B", n)
	case v < 1e6:
		return fmt.Sprintf("%.3g kB", v/1e3)
	case v < 1e9:
		return fmt.Sprintf("%.3g MB", v/1e6)
	case v >= 999.95e9:
		return fmt.Sprintf("%.0f GB", v/1e9)
	default:
		return fmt.Sprintf("%.4g GB", v/1e9)
	}
}

func plural(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
