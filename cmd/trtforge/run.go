package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/pipeline"
	"github.com/trtforge/trtforge/report"
)

//go:embed pipeline.toml
var pipelineExample string

// RunOptions are the flags of run.
type RunOptions struct {
	DryRun    bool
	Reference string // "", "live" or "recorded"
	Setup     bool
	Accept    bool
	Store     string
	Servers   ServerFlags
}

// AddFlags declares the flags.
func (o *RunOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.DryRun, "dry-run", false, "print the stages, cached or to do and why, and change nothing")
	f.StringVar(&o.Reference, "reference", "", "`SOURCE` of PyTorch's figures: live or recorded; default: recorded where the file names a bundle")
	f.BoolVar(&o.Setup, "setup", false, "install missing runtimes instead of ending with status 3")
	f.BoolVar(&o.Accept, "accept-licence", false, "with --setup: accept the licences shown")
	addStore(f, &o.Store)
	o.Servers.AddFlags(f)
}

func newRunCommand(g *globals) *cobra.Command {
	var opts RunOptions
	c := &cobra.Command{
		Use:         "run PIPELINE.toml",
		Annotations: resumes,
		Short:       "Take a checkpoint to verified engines and a report",
		Long: `Run executes a pipeline file: export, profiles, calibration, quantization,
engines, the PyTorch reference, validation, benchmarks, gates and the report.

Each stage keeps a record of all that its output depends on. What still holds is
not run again, so a run that was interrupted, or killed, goes on where it stopped.
Results are in [output] dir: report.html and its twin report.md, report.json,
summary.json, rows.jsonl and stages/; "trtforge report" makes the report again of
them. Engines are built in the store, where other pipelines and build find them, and
copied to stages/.

A pipeline file, with every key:

` + indent(pipelineExample, "    ") + exitStatus,
		Example: `  trtforge run pipeline.toml
  trtforge run pipeline.toml --dry-run
  trtforge run pipeline.toml --junit gates.xml --github
  trtforge run pipeline.toml --json | jq .verdicts`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runRun(c.Context(), opts, g, args[0])
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

func runRun(ctx context.Context, opts RunOptions, g *globals, path string) error {
	config, err := pipeline.Load(path)
	if err != nil {
		return err
	}
	switch opts.Reference {
	case "live":
		config.Reference.Bundle = ""
	case "recorded":
		if config.Reference.Bundle == "" {
			return fault.New(fault.Usage, "checking pipeline", path, "--reference recorded, but the file names no [reference] bundle", "add one, or run with --reference live")
		}
	case "":
	default:
		return fault.New(fault.Usage, "", "", fmt.Sprintf("--reference %q", opts.Reference), "want live or recorded")
	}
	o := pipeline.Options{
		CreatedBy: createdBy(), Log: g.Log, Progress: g.bars.open,
		Runtimes: &locate{g: g, install: opts.Setup, accept: opts.Accept},
	}
	if opts.DryRun {
		steps, err := pipeline.Plan(config, o)
		if err != nil {
			return err
		}
		return g.print(steps, func(w io.Writer) error { return writeSteps(w, steps) })
	}
	if o.Store, err = openStore(g, opts.Store, store.Open); err != nil {
		return err
	}
	result, err := pipeline.Run(ctx, config, o)
	if err != nil {
		return err
	}
	g.bars.close()
	if err := opts.Servers.tell(g, "trtforge run "+path, result.All(), func(w io.Writer) error { return copyFile(w, filepath.Join(result.Dir, report.MarkdownFile)) }); err != nil {
		return err
	}
	failed := result.Err()
	if g.JSON && failed != nil { // one document: the summary, and in it the error
		return errors.Join(g.print(struct {
			*pipeline.Result
			Error problem `json:"error"`
		}{result, describe(failed)}, nil), printed{failed})
	}
	return errors.Join(g.print(result, result.Write), failed)
}

// copyFile writes a file's contents to w.
func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fsx.Explain("reading", path, err)
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(w, f)
	return err
}

func writeSteps(w io.Writer, steps []pipeline.Step) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range steps {
		state := "to do"
		if s.Cached {
			state = "cached"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", state, s.Stage, s.Why)
	}
	return t.Flush()
}

// indent puts prefix before each line that is not empty.
func indent(text, prefix string) string {
	lines := strings.SplitAfter(text, "\n")
	for i, l := range lines {
		if strings.TrimSpace(l) != "" {
			lines[i] = prefix + l
		}
	}
	return strings.Join(lines, "")
}
