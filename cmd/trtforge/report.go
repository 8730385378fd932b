package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/report"
)

// ReportOptions are the flags of report.
type ReportOptions struct {
	Out      string
	Markdown string
	Gates    string
	Servers  ServerFlags
	Open     string // no or yes
}

// AddFlags declares the flags.
func (o *ReportOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.Out, "out", "o", "", "write the page to `FILE`; default: report.html in the directory, or here where several are given")
	f.StringVar(&o.Markdown, "markdown", "", "write the Markdown twin to `FILE`, - for standard output")
	f.StringVar(&o.Gates, "gates", "", "hold the engines to the [gate.PRECISION] tables of a TOML `FILE` instead of the limits of their run")
	o.Servers.AddFlags(f)
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

Of several directories it makes one report. An engine of one key or file that bench
and validate gave different names is one, under the first name; different engines of
one name get their directory's in front. Figures of different machines
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
	if err := o.apart(dirs); err != nil {
		return err
	}
	if err := report.Render(o.Out, *d, report.HTML); err != nil {
		return err
	}
	twin := func(w io.Writer) error { return report.Markdown(w, *d) }
	if o.Markdown == "-" {
		err = twin(g.Out)
	} else if o.Markdown != "" {
		err = report.Render(o.Markdown, *d, report.Markdown)
	}
	if err != nil {
		return err
	}
	if err := o.Servers.tell(g, "trtforge report "+dirs[0], d.Verdicts, twin); err != nil {
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
	if failed := gate.Err(d.Verdicts); failed != nil {
		if g.JSON { // one document: the report, which holds the verdicts
			return printed{failed}
		}
		return failed
	}
	return nil
}

// apart refuses to write over what the report is made of.
func (o ReportOptions) apart(dirs []string) error {
	for _, out := range []string{o.Out, o.Markdown, o.Servers.JUnit} {
		for _, dir := range dirs {
			for _, name := range []string{report.File, report.RowsFile, report.SamplesFile, report.MachineFile} {
				if out != "" && same(out, filepath.Join(dir, name)) {
					return fault.New(fault.Usage, "", "", fmt.Sprintf("%s is what the report is made of", out), "name another file")
				}
			}
		}
	}
	return nil
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

// commandLine is what the user typed, for a report to say how to get its figures
// again. Arguments that a shell would divide are quoted.
func commandLine() string {
	words := []string{"trtforge"}
	for _, a := range os.Args[1:] {
		if a == "" || strings.ContainsAny(a, " \t\n'\"$&|;<>()*?[]#~`\\!{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}

// now is the time as a report shows it.
func now() string { return time.Now().Format("2006-01-02 15:04 MST") }
