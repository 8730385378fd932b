package main

import (
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/junit"
)

// ServerFlags say how a build server is told what the gates say.
type ServerFlags struct {
	JUnit  string
	GitHub bool
}

// AddFlags declares the flags.
func (o *ServerFlags) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.JUnit, "junit", "", "write a JUnit report to `FILE`, a case for each verdict")
	f.BoolVar(&o.GitHub, "github", false, "print GitHub annotations on standard error, and add the summary to the step's")
}

// tell writes what was asked for. summary is the Markdown that a step shows.
func (o ServerFlags) tell(g *globals, suite string, verdicts []gate.Verdict, summary func(io.Writer) error) error {
	if o.JUnit != "" {
		cases := gate.JUnit(suite, verdicts)
		if err := fsx.WriteFile(o.JUnit, func(w io.Writer) error { return junit.Write(w, cases) }); err != nil {
			return err
		}
	}
	if !o.GitHub {
		return nil
	}
	if err := gate.Annotate(g.Err, "", verdicts); err != nil {
		return err
	}
	return addSummary(summary)
}

// addSummary adds to the summary of a GitHub step, where there is one. Several
// commands of a step share the file, so it is added to and never replaced.
func addSummary(summary func(io.Writer) error) error {
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fsx.Explain("writing the step summary", path, err)
	}
	err = summary(f)
	if closed := f.Close(); err == nil && closed != nil {
		err = fsx.Explain("writing the step summary", path, closed)
	}
	return err
}
