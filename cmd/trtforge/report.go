package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/junit"
	"github.com/trtforge/trtforge/report"
)

// ReportOptions are the flags of report.
type ReportOptions struct {
	Out      string
	Markdown string
	Gates    string
	JUnit    string
	GitHub   bool
	Open     string // no or yes
}

// AddFlags declares the flags.
func (o *ReportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Out, "out", "o", "", "write the page to `FILE`; default: report.html in the directory, or here where several are given")
	f.StringVar(&o.Markdown, "markdown", "", "write the Markdown twin to `FILE`, - for standard output")
	f.StringVar(&o.Gates, "gates", "", "hold the engines to the [gate.PRECISION] tables of a TOML `FILE` instead of the limits of their run")
	f.StringVar(&o.JUnit, "junit", "", "write a JUnit report to `FILE`, a case for each verdict")
	f.BoolVar(&o.GitHub, "github", false, "print GitHub annotations on standard error, and add the summary to the step's")
	f.StringVar(&o.Open, "open", "no", "show the page in a browser: no or yes")
}

func newReportCommand(g *globals) *cobra.Command {
	var opts ReportOptions
	c := &cobra.Command{
		Use:   "report DIR...",
		Short: "Make the report again of results that were measured, of one run or several",
		Long: `Report reads results directories, as run, bench and validate leave them, and makes
of them one page: what to deploy in each scenario, which gates pass, fail or could
not be evaluated, how accurate and fast each engine is, and where every figure comes
from. It measures nothing.

Of several directories it makes one report: engines of one name get their
directory's in front where they are not the same one. Figures of different machines
stand side by side, are never compared, and the report says so.

Engines are held to the limits of their run; --gates gives others. A gate that fails
ends with status 1, with everything written.
` + exitStatus,
		Example: `  trtforge report build/demo
  trtforge report build/gpt2-5m build/gpt2-25m build/gpt2-75m -o scaling.html
  trtforge report build/demo --gates gates.toml --junit gates.xml --github
  trtforge report build/demo --markdown - --json | jq .recommendation`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return runReport(c.Context(), opts, g, args)
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

func runReport(ctx context.Context, o ReportOptions, g *globals, dirs []string) error {
	if o.Open != "no" && o.Open != "yes" {
		return fault.New(fault.Usage, "", "", fmt.Sprintf("--open %q", o.Open), "want no or yes")
	}
	if o.Markdown == "-" && g.JSON {
		return fault.New(fault.Usage, "", "", "--markdown - and --json both want standard output", "name a file for one of them")
	}
	d, err := report.Read(dirs...)
	if err != nil {
		return err
	}
	if o.Gates != "" {
		if d.Limits, err = gate.ReadFile(o.Gates); err != nil {
			return err
		}
		d.Judge()
	}
	if o.Out == "" {
		o.Out = report.HTMLFile
		if len(dirs) == 1 {
			o.Out = filepath.Join(dirs[0], report.HTMLFile)
		}
	}
	if err := report.Render(o.Out, *d, report.HTML); err != nil {
		return err
	}
	if err := o.summaries(g, *d, dirs[0]); err != nil {
		return err
	}
	if o.Markdown != "-" {
		if err := g.print(d, func(w io.Writer) error { return writeVerdict(w, *d, o.Out) }); err != nil {
			return err
		}
	}
	if o.Open == "yes" {
		if err := exec.CommandContext(ctx, "xdg-open", o.Out).Run(); err != nil {
			return fault.Wrap(fault.Missing, "opening", o.Out, err, "open the file in a browser by hand")
		}
	}
	return gate.Err(d.Verdicts)
}

// summaries writes the forms that are not the page.
func (o ReportOptions) summaries(g *globals, d report.Data, dir string) error {
	switch {
	case o.Markdown == "-":
		if err := report.Markdown(g.Out, d); err != nil {
			return err
		}
	case o.Markdown != "":
		if err := report.Render(o.Markdown, d, report.Markdown); err != nil {
			return err
		}
	}
	if o.JUnit != "" {
		suite := gate.JUnit("trtforge report "+dir, d.Verdicts)
		if err := fsx.WriteFile(o.JUnit, func(w io.Writer) error { return junit.Write(w, suite) }); err != nil {
			return err
		}
	}
	if !o.GitHub {
		return nil
	}
	if err := gate.Annotate(g.Err, "", d.Verdicts); err != nil {
		return err
	}
	return addSummary(d)
}

// addSummary adds the Markdown twin to the summary of a GitHub step, where there
// is one. Several steps share the file, so it is added to and never replaced.
func addSummary(d report.Data) error {
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fsx.Explain("writing the step summary", path, err)
	}
	err = report.Markdown(f, d)
	if closed := f.Close(); err == nil && closed != nil {
		err = fsx.Explain("writing the step summary", path, closed)
	}
	return err
}

// writeVerdict is what the page says first.
func writeVerdict(w io.Writer, d report.Data, page string) error {
	count := map[gate.Status]int{}
	for _, v := range d.Verdicts {
		count[v.Status]++
	}
	for _, c := range d.Choices {
		if c.Scenario == "" || len(d.Choices) == 1 {
			_, _ = fmt.Fprintf(w, "deploy on %s\n", c)
		}
	}
	for _, text := range d.Warnings {
		_, _ = fmt.Fprintf(w, "note: %s\n", text)
	}
	_, err := fmt.Fprintf(w, "gates: %d pass, %d fail, %d not evaluated\nreport: %s\n", count[gate.Pass], count[gate.Fail], count[gate.NotEvaluated], page)
	return err
}
