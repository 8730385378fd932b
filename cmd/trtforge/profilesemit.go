package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// EmitOptions are the flags of profiles emit.
type EmitOptions struct {
	GraphFlags
	Syntax   string
	From     string
	Out      string
	MaxBatch int
}

// AddFlags declares the flags.
func (o *EmitOptions) AddFlags(f *pflag.FlagSet) {
	names, _ := syntax.Names()
	f.StringVarP(&o.Syntax, "syntax", "s", "", "what to write: "+strings.Join(names, ", ")+" (required)")
	fromFlag(f, &o.From)
	f.StringVarP(&o.Out, "out", "o", "", "write to `FILE` instead of standard output")
	f.IntVar(&o.MaxBatch, "max-batch-size", 0, "of Triton: 0 leaves the batch in the dimensions, more lets Triton batch requests")
	o.GraphFlags.AddFlags(f)
}

func newProfilesEmitCommand(g *globals) *cobra.Command {
	var opts EmitOptions
	names, what := syntax.Names()
	var list strings.Builder
	for i := range names {
		fmt.Fprintf(&list, "  %-16s %s\n", names[i], what[i])
	}
	c := &cobra.Command{
		Use:   "emit FILE|- --syntax SYNTAX",
		Short: "Write profiles in the syntax of another tool",
		Long: `Emit reads profiles in any form (a plan, an engine's manifest, ONNX Runtime's
.profile, text of any of these tools) and writes them in one of these syntaxes:

` + list.String() + `
What a syntax cannot carry, as a name with its separator in it, is refused by name.
Of the two Triton files the graph's data types are part, so they need
--model; a .profile needs it to tell the sizes that the graph fixes.

"lock" is for a repository: the same profiles give the same bytes, so a change of
profiles is a change that people review and CI sees (profiles diff --exit-code).
` + exitStatus,
		Example: `  trtforge profiles emit plan.json --syntax trtexec
  trtforge profiles emit plan.json --syntax lock -o profiles.lock
  trtforge profiles emit run.sh --syntax triton --model model.onnx -o config.pbtxt`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runEmit(opts, g, args[0], c.InOrStdin()) },
	}
	opts.AddFlags(c.Flags())
	_ = c.MarkFlagRequired("syntax") // fails for a flag that does not exist only
	return c
}

func runEmit(o EmitOptions, g *globals, path string, in io.Reader) error {
	if o.MaxBatch < 0 {
		return fault.New(fault.Usage, "", "", fmt.Sprintf("--max-batch-size %d", o.MaxBatch), "want 0 or more")
	}
	c, err := o.load()
	if err != nil {
		return err
	}
	l, err := loadProfiles(path, o.From, c, in)
	if err != nil {
		return err
	}
	text, err := syntax.Emit(o.Syntax, syntax.Input{Profiles: l.Profiles, Contract: c, MaxBatch: o.MaxBatch})
	if err != nil {
		return err
	}
	if n := len(l.Profiles); n > 1 && (strings.HasPrefix(o.Syntax, syntax.ORT) || o.Syntax == syntax.Triton) {
		g.Log.Warn(fmt.Sprintf("ONNX Runtime's TensorRT EP only ever runs profile 0 of a session: %d profiles are built, and the shapes of the others fail; derive with --backend orttrt, or give each profile a session of its own", n))
	}
	if o.Out != "" {
		err := fsx.WriteFile(o.Out, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		})
		if err != nil {
			return err
		}
	}
	return g.print(struct {
		Syntax string `json:"syntax"`
		Text   string `json:"text"`
	}{o.Syntax, text}, func(w io.Writer) error {
		if o.Out != "" {
			text = o.Out + "\n"
		}
		_, err := io.WriteString(w, text)
		return err
	})
}
