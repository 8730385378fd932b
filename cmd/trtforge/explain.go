package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles/explain"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// ExplainOptions are the flags of explain.
type ExplainOptions struct {
	GraphFlags
	Plan   string
	Syntax string
}

// AddFlags declares the flags.
func (o *ExplainOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Plan, "plan", "", "the profiles that the engine was to have, a plan or any `FILE` that profiles show reads: the cause is held against them, and they are corrected")
	o.GraphFlags.AddFlags(f)
	f.StringVar(&o.Syntax, "syntax", "", "how a correction is written: "+strings.Join(syntaxNames(), ", ")+" (default: what the log's tool reads)")
}

func syntaxNames() []string {
	names, _ := syntax.Names()
	return names
}

func newExplainCommand(g *globals) *cobra.Command {
	var opts ExplainOptions
	c := &cobra.Command{
		Use:   "explain [LOG|-]",
		Short: "Say what went wrong in a log of TensorRT or a tool around it, and the correction",
		Long: `Explain reads output of ONNX Runtime, trtexec, TensorRT (7 to 11), TensorRT-RTX,
Polygraphy, Triton, TensorRT-LLM or a Python traceback of them, from a file or from
standard input. It names the cause, the line that shows it and what to do; errors
that only follow from it are listed below, and warnings that need nothing are called
benign. With --plan it tells a shape that no profile holds from a profile that was
not selected and from a stale engine, and writes the corrected profiles ready to
paste; with --model all inputs that share a size change together.

Nothing is guessed: what the log does not say is not said, and a message that no
pattern knows is quoted as unknown. Status 1 means that the log shows errors and
none of them is known; an empty log and a binary file are refused with status 4.
` + exitStatus,
		Example: `  trtexec --loadEngine=gpt2.plan --shapes=input_ids:4x27 2>&1 | trtforge explain
  trtforge explain server.log --plan build/plan.json --model build/gpt2
  trtforge explain build.log --json | jq -r '.findings[] | select(.root) | .fix'`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			log := "-"
			if len(args) > 0 {
				log = args[0]
			}
			return runExplain(c.Context(), opts, g, log, c.InOrStdin())
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

// explanation is what explain prints as JSON: one document, also where no error
// of the log is known.
type explanation struct {
	*explain.Report
	Error *problem `json:"error,omitempty"`
}

func runExplain(ctx context.Context, o ExplainOptions, g *globals, log string, stdin io.Reader) error {
	c, err := o.context(log)
	if err != nil {
		return err
	}
	in, err := openLog(log, stdin)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	report, err := explain.Read(stoppable{ctx, in}, c)
	if err != nil {
		return err
	}
	report.CreatedBy = createdBy()
	out := explanation{Report: report}
	var unknown error
	if !report.Explained() {
		unknown = fault.New(fault.Gate, "explaining", c.Log, "it shows errors that no pattern knows; the first is "+report.Unknown[0].Text,
			"look it up, and add a pattern: profiles/explain/README.md says how")
		p := describe(unknown)
		out.Error = &p
	}
	if err := g.print(out, report.Text); err != nil {
		return err
	}
	if g.JSON && unknown != nil {
		return printed{unknown}
	}
	return unknown
}

// context is what is known beside the log.
func (o ExplainOptions) context(log string) (explain.Context, error) {
	c := explain.Context{Log: log, Syntax: o.Syntax}
	if log == "-" {
		c.Log = "standard input"
	}
	if o.Syntax != "" && !slices.Contains(syntaxNames(), o.Syntax) {
		return c, fault.New(fault.Usage, "", "", fmt.Sprintf("--syntax %q", o.Syntax), "want one of "+strings.Join(syntaxNames(), ", "))
	}
	var err error
	if c.Contract, err = o.load(); err != nil || o.Plan == "" {
		return c, err
	}
	l, err := loadProfiles(o.Plan, "", c.Contract, nil)
	if err != nil {
		return c, err
	}
	if c.Profiles = l.Profiles; l.Plan != nil {
		c.Demand = l.Plan.Demand
	}
	return c, nil
}

func openLog(log string, stdin io.Reader) (io.ReadCloser, error) {
	if log != "-" {
		f, err := os.Open(log)
		return f, fsx.Explain("reading log", log, err)
	}
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return nil, fault.New(fault.Usage, "", "", "there is no log", "name a file, or pipe the output in: COMMAND 2>&1 | trtforge explain")
	}
	return io.NopCloser(stdin), nil
}

// stoppable is a reader that ends with the context: a log may be large, or a pipe
// that never closes.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, errors.Join(context.Cause(s.ctx), err)
	}
	return s.r.Read(b)
}
