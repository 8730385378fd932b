package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// globals are what every command shares: where to talk, and how much.
type globals struct {
	Out io.Writer // results
	Err io.Writer // talk and progress

	JSON    bool
	Quiet   bool
	Verbose bool
	LogFile string
	Log     *slog.Logger

	bars *bars
	log  *os.File
}

const exitStatus = `
Exit status: 0 ok; 1 a gate or check failed; 2 usage or configuration; 3 something
this machine lacks; 4 unreadable, corrupt or too new input; 5 the builder or runtime
failed, timed out or died; 130 interrupted; 143 terminated.`

func newRootCommand(g *globals) *cobra.Command {
	root := &cobra.Command{
		Use:   "trtforge",
		Short: "Build, prove and measure TensorRT engines of language models",
		Long: `trtforge takes a causal language model from checkpoint to verified TensorRT
engines: it derives optimization profiles that cover prefill and decode and proves
it, calibrates and quantizes, builds with NVIDIA's own builder where no GPU is, and
lets FP16 and INT8 out only with a perplexity measured against PyTorch.
` + exitStatus,
		Example: `  trtforge setup ort rtx reference --accept-licence
  trtforge run pipeline.toml
  trtforge doctor`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return g.open()
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
			}
			return c.Help()
		},
	}
	g.addFlags(root.PersistentFlags())
	root.SetOut(g.Out)
	root.SetErr(g.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.Wrap(fault.Usage, "", "", err, fmt.Sprintf("`%s --help` shows the flags", c.CommandPath()))
	})
	root.AddCommand(
		newSetupCommand(g),
		newDoctorCommand(g),
		newRunCommand(g),
		newExportCommand(g),
		newInspectCommand(g),
		newQuantizeCommand(g),
		newProfilesCommand(g),
		newExplainCommand(g),
		newCalibrateCommand(g),
		newBuildCommand(g),
		newReportCommand(g), newValidateCommand(g),
		newEnginesCommand(g),
		newBenchCommand(g),
		newCompareCommand(g),
		newPackageCommand(g),
		newRandomModelCommand(g),
		newVersionCommand(g),
		newDocsCommand(),
	)
	usageErrors(root)
	for _, c := range root.Commands() {
		if c.Name() == "profiles" || c.Name() == "explain" || c.Name() == "inspect" || c.Name() == "engines" || c.Name() == "package" || c.Name() == "compare" {
			leaveAtOnce(c)
		}
	}
	guardOutputs(root)
	return root
}

// leaveAtOnce ends a command when a signal comes, whatever it is doing. It is for
// commands that only compute: they own no child, and files appear whole or not at
// all.
func leaveAtOnce(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			done := make(chan error, 1)
			go func() { done <- run(c, args) }()
			select {
			case err := <-done:
				return err
			case <-c.Context().Done():
				return context.Cause(c.Context())
			}
		}
	}
	for _, sub := range c.Commands() {
		leaveAtOnce(sub)
	}
}

// usageErrors gives cobra's own complaints (a missing argument, an unknown
// command) the class that decides exit status 2.
func usageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			return fault.Wrap(fault.Usage, "", "", check(c, args), fmt.Sprintf("`%s --help` shows the arguments", c.CommandPath()))
		}
	}
	for _, sub := range c.Commands() {
		usageErrors(sub)
	}
}

func (g *globals) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&g.JSON, "json", false, "print results, and errors, as JSON on standard output")
	f.BoolVarP(&g.Quiet, "quiet", "q", false, "no progress and no talk, errors only")
	f.BoolVarP(&g.Verbose, "verbose", "v", false, "say what is done and why")
	f.StringVar(&g.LogFile, "log", "", "append a log in JSON lines to `FILE`")
}

// open prepares talk and log once the flags are known.
func (g *globals) open() error {
	level := slog.LevelInfo
	switch {
	case g.Quiet:
		level = slog.LevelError
	case g.Verbose:
		level = slog.LevelDebug
	}
	g.bars = newBars(g.Err, g.Quiet)
	handlers := []slog.Handler{&talk{w: g.bars, level: level}}
	if g.LogFile != "" {
		f, err := os.OpenFile(g.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return fsx.Explain("writing log", g.LogFile, err)
		}
		g.log = f
		handlers = append(handlers, slog.NewJSONHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	g.Log = slog.New(slog.NewMultiHandler(handlers...))
	return nil
}

func (g *globals) close() {
	if g.bars != nil {
		g.bars.close()
	}
	if g.log != nil {
		_ = g.log.Close()
	}
}

// print writes a result: v as JSON where that was asked for, else text.
func (g *globals) print(v any, text func(w io.Writer) error) error {
	if !g.JSON {
		return text(g.Out)
	}
	e := json.NewEncoder(g.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// report prints err, all that is joined in it, and gives the exit status.
func (g *globals) report(err error) int {
	var shown printed
	if err == nil || errors.As(err, &shown) {
		return fault.Exit(err)
	}
	if cobraUsage(err) {
		err = fault.Wrap(fault.Usage, "", "", err, "`trtforge --help` shows the commands, `trtforge COMMAND --help` their flags")
	}
	if g.JSON {
		return g.reportJSON(err)
	}
	for _, e := range flatten(err) {
		_, _ = fmt.Fprintf(g.Err, "trtforge: %v\n", e)
		if f := fixOf(e); f != "" {
			_, _ = fmt.Fprintf(g.Err, "    %s\n", f)
		}
	}
	return fault.Exit(err)
}

// problem is an error as JSON.
type problem struct {
	Code    fault.Code `json:"code"`
	Stage   string     `json:"stage,omitempty"`
	Subject string     `json:"subject,omitempty"`
	Cause   string     `json:"cause"`
	Fix     string     `json:"fix,omitempty"`
}

func (g *globals) reportJSON(err error) int {
	var all []problem
	for _, e := range flatten(err) {
		all = append(all, describe(e))
	}
	out := map[string]any{"error": all[0]}
	if len(all) > 1 {
		out["errors"] = all
	}
	e := json.NewEncoder(g.Out)
	e.SetEscapeHTML(false)
	_ = e.Encode(out)
	return fault.Exit(err)
}

// describe is an error as JSON.
func describe(err error) problem {
	p := problem{Code: fault.Classify(err), Cause: err.Error()}
	var f *fault.Error
	if errors.As(err, &f) {
		p.Stage, p.Subject, p.Cause, p.Fix = f.Stage, f.Subject, f.Reason(), f.Fix
	}
	return p
}

// printed is an error that decides the exit status and has been shown already.
type printed struct{ error }

func (p printed) Unwrap() error { return p.error }

// flatten is err as the list of what was joined in it.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

func fixOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Fix
	}
	return ""
}

// helpOf gives cobra's complaint of a flag that is missing the class of a usage
// error, and names the help of the command that misses it.
func helpOf(c *cobra.Command, err error) error {
	if err == nil || !cobraUsage(err) || !strings.HasPrefix(err.Error(), "required flag") {
		return err
	}
	return fault.Wrap(fault.Usage, "", "", err, fmt.Sprintf("`%s --help` shows the flags", c.CommandPath()))
}

// cobraUsage tells cobra's own errors, which have no type, by their words.
func cobraUsage(err error) bool {
	var f *fault.Error
	if errors.As(err, &f) {
		return false
	}
	return strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag")
}
