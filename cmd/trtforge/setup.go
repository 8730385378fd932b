package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/pipeline"
)

// SetupOptions are the flags of setup.
type SetupOptions struct {
	Accept     bool
	FindLinks  []string
	Offline    bool
	IndexURL   string
	Python     string
	ORTLibrary string
	Lib        string
	Forget     bool
	PrintLock  bool
}

// AddFlags declares the flags.
func (o *SetupOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.Accept, "accept-licence", false, "accept the licences shown (also TRTFORGE_ACCEPT_LICENCE=1)")
	f.StringArrayVar(&o.FindLinks, "find-links", nil, "look for wheels in `DIR` first (may be repeated)")
	f.BoolVar(&o.Offline, "offline", false, "look nowhere but in --find-links")
	f.StringVar(&o.IndexURL, "index-url", "", "take PyTorch from the index at `URL`, for instance a CPU-only build; its hashes are not checked")
	f.StringVar(&o.Python, "python", "", "use the environment of the interpreter at `PATH` instead of installing, from now on")
	f.StringVar(&o.ORTLibrary, "ort-library", "", "use the libonnxruntime `FILE` instead of installing, from now on")
	f.StringVar(&o.Lib, "lib", "", "of trt: use the TensorRT in `DIR`, from now on")
	f.BoolVar(&o.Forget, "forget", false, "forget --python, --ort-library, --lib or --index-url of earlier and use the pinned build again")
	f.BoolVar(&o.PrintLock, "print-lock", false, "print the pinned wheels, as a requirements file, and install nothing")
}

func newSetupCommand(g *globals) *cobra.Command {
	var opts SetupOptions
	c := &cobra.Command{
		Use:         "setup [ort|rtx|reference|trt|oracle|oracle-trt|oracle-modelopt|all]...",
		Annotations: resumes,
		Short:       "Install the pinned runtimes, or name your own",
		Long: `Setup installs, without root, what trtforge drives into $TRTFORGE_HOME (default
~/.cache/trtforge), from wheels pinned by version and hash, and loads each to prove
that it works. Without a name it says what there is; "all" is ort, rtx and reference.
It may be interrupted and repeated, and two may run at once. "trt" installs the GPU
build of ONNX Runtime and its CUDA libraries, and looks for a TensorRT 10 of this
machine (or in --lib DIR): without one it says what to run and ends with status 3.

Without a network, bring the wheels (--print-lock says which):
    trtforge setup rtx --print-lock > rtx.txt
    python3 -m pip download --no-deps --require-hashes -r rtx.txt -d wheels
    trtforge setup rtx --offline --find-links wheels

For one run, the environment overrides what is installed: TRTFORGE_ORT_LIBRARY,
TRTFORGE_RTX_PYTHON, TRTFORGE_TRT_PYTHON, TRTFORGE_REFERENCE_PYTHON, TRTFORGE_ORACLE_PYTHON,
TRTFORGE_ORACLE_TRT_PYTHON, TRTFORGE_ORACLE_MODELOPT_PYTHON.
TRTFORGE_PYTHON is the Python to install with. pip's own PIP_* variables hold.
` + exitStatus,
		Example: `  trtforge setup ort rtx reference --accept-licence
  trtforge setup reference --python ~/venvs/torch/bin/python
  trtforge setup ort --ort-library /opt/onnxruntime/lib/libonnxruntime.so.1.32.0`,
		ValidArgs: append(runtimes.Names(), "all"),
		RunE: func(c *cobra.Command, args []string) error {
			return runSetup(c.Context(), opts, g, args)
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

func runSetup(ctx context.Context, o SetupOptions, g *globals, args []string) error {
	names, err := setupNames(args)
	if err != nil {
		return err
	}
	if err := o.check(names); err != nil {
		return err
	}
	switch {
	case len(names) == 0:
		return g.print(runtimes.Survey(), func(w io.Writer) error { return writeSurvey(w, runtimes.Survey()) })
	case o.PrintLock:
		return printLocks(g, names)
	}
	if o.Forget {
		for _, name := range names {
			if err := runtimes.Forget(name); err != nil {
				return err
			}
		}
	}
	var done []runtimes.Runtime
	for _, name := range names {
		r, err := setupOne(ctx, o, g, name)
		if err != nil {
			return err
		}
		done = append(done, r...)
	}
	return g.print(done, func(w io.Writer) error { return writeRuntimes(w, done) })
}

// setupOne makes sure of one runtime; bars appear only once there is work.
func setupOne(ctx context.Context, o SetupOptions, g *globals, name string) ([]runtimes.Runtime, error) {
	bar := &lazyBar{open: func() pipeline.Bar { return g.bars.open("setup " + name) }}
	var talk io.Writer = g.bars
	if g.Quiet {
		talk = io.Discard
	}
	how := runtimes.Options{
		AcceptLicence: o.Accept, FindLinks: o.FindLinks, Offline: o.Offline, IndexURL: o.IndexURL,
		Python: o.Python, Library: o.ORTLibrary, Out: talk, Progress: bar,
	}
	var done []runtimes.Runtime
	var err error
	if name == "trt" {
		done, err = runtimes.EnsureTRT(ctx, o.Lib, how)
	} else {
		var r runtimes.Runtime
		r, err = runtimes.Ensure(ctx, name, how)
		done = append(done, r)
	}
	bar.done(err)
	return done, err
}

// setupNames expands "all" and refuses unknown names, all at once.
func setupNames(args []string) ([]string, error) {
	var names []string
	var errs []error
	for _, arg := range args {
		expanded := []string{arg}
		if arg == "all" {
			expanded = []string{"ort", "rtx", "reference"}
		}
		for _, name := range expanded {
			if _, err := runtimes.Lookup(name); err != nil {
				errs = append(errs, err)
			}
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, errors.Join(errs...)
}

// check refuses, before anything is downloaded, what cannot end well.
func (o SetupOptions) check(names []string) error {
	var errs []error
	refuse := func(cause, fix string) {
		errs = append(errs, fault.New(fault.Usage, "setting up", "", cause, fix))
	}
	if (o.Python != "" || o.ORTLibrary != "") && len(names) != 1 {
		refuse("--python and --ort-library are about one runtime", "name exactly one")
	}
	if o.Lib != "" && !slices.Contains(names, "trt") {
		refuse("--lib is about TensorRT only", "name trt")
	}
	if o.IndexURL != "" && !slices.Contains(names, "reference") {
		refuse("--index-url is about PyTorch only", "name reference; for a mirror of everything set pip's PIP_INDEX_URL")
	}
	if o.Offline && len(o.FindLinks) == 0 {
		refuse("--offline leaves nowhere to look", "name a directory of wheels with --find-links")
	}
	if (o.PrintLock || o.Forget) && len(names) == 0 {
		refuse("--print-lock and --forget need a runtime", "name one")
	}
	if o.PrintLock || o.Python != "" || o.ORTLibrary != "" {
		return errors.Join(errs...)
	}
	for _, name := range names {
		if spec, err := runtimes.Lookup(name); err == nil {
			if _, here := runtimes.Find(name); !here {
				errs = append(errs, runtimes.CheckLicence(spec, runtimes.Options{AcceptLicence: o.Accept}))
			}
		}
	}
	return errors.Join(errs...)
}

func printLocks(g *globals, names []string) error {
	for _, name := range names {
		lock, err := runtimes.LockOf(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(g.Out, lock.Text); err != nil {
			return err
		}
	}
	return nil
}

func writeRuntimes(w io.Writer, done []runtimes.Runtime) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range done {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", r.Name, r.VersionText(), r.Python+r.Library)
	}
	return t.Flush()
}

func writeSurvey(w io.Writer, all []runtimes.State) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "RUNTIME\tSTATE\tDOWNLOAD\tON DISK\tWHAT\tLICENCE")
	for _, s := range all {
		state := "not installed"
		if s.Installed != nil {
			state = "installed"
		}
		if s.Installed != nil && s.Installed.Brought != "" {
			state = "yours (" + s.Installed.Brought + ")"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.Name, state,
			runtimes.Size(s.DownloadBytes), runtimes.Size(s.DiskBytes), s.What, s.Licence)
	}
	return t.Flush()
}

// lazyBar opens its bar with the first sign of work, so that what is installed
// already shows none.
type lazyBar struct {
	open func() pipeline.Bar
	once sync.Once
	bar  pipeline.Bar
}

func (l *lazyBar) start() pipeline.Bar {
	l.once.Do(func() { l.bar = l.open() })
	return l.bar
}

func (l *lazyBar) SetMax(n int64)                   { l.start().SetMax(n) }
func (l *lazyBar) Set(n int64)                      { l.start().Set(n) }
func (l *lazyBar) Note(text string)                 { l.start().Note(text) }
func (l *lazyBar) Sub(name string) progress.Counter { return l.start().Sub(name) }

func (l *lazyBar) done(err error) {
	if l.bar != nil {
		l.bar.Done(err)
	}
}
