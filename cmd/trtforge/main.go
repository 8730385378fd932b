// Command trtforge builds and profiles TensorRT engines for causal language
// models and lets them out with evidence only.
//
// This directory is wiring: one file a command, which turns flags into one call
// of a room and prints what it returns. Results go to standard output, talk and
// progress to standard error. See docs/architecture.md for the rooms and
// docs/cli.md for every command.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/native"
)

func main() {
	native.Use()
	if code, child := runChild(os.Args[1:]); child {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:]))
}

// run is the whole command line as a function of its arguments; it returns the
// exit status.
func run(args []string) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		select {
		case s := <-signals:
			cancel(stopped(s))
		case <-ctx.Done():
		}
	}()
	g := &globals{Out: os.Stdout, Err: os.Stderr}
	root := newRootCommand(g)
	root.SetArgs(args)
	// An error before the flags are parsed is an answer in JSON, too.
	g.JSON = slices.Contains(args, "--json")
	c, err := root.ExecuteContextC(ctx)
	if ctx.Err() != nil { // also of a command that took the end of its input for success
		err = goesOn(c, context.Cause(ctx))
	}
	g.close()
	return g.report(helpOf(c, err))
}

// resumes marks the commands that keep what they did when they are stopped.
var resumes = map[string]string{"resumes": "yes"}

// goesOn adds to the error of a command that was stopped how to go on, where it
// kept what it did. Of all others there is nothing left.
func goesOn(c *cobra.Command, err error) error {
	var f *fault.Error
	if c.Annotations["resumes"] == "" || !errors.As(err, &f) {
		return err
	}
	return fault.New(f.Code, f.Stage, f.Subject, f.Reason(), "run the same command again to go on where it stopped")
}

// stopped is the error of a run that a signal ended. A second signal kills the
// process at once, by Go's default.
func stopped(s os.Signal) error {
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	code := fault.Interrupt
	if s == syscall.SIGTERM {
		code = fault.Terminate
	}
	return fault.New(code, "", "", "stopped by "+s.String(), "")
}
