package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/pack"
	"github.com/trtforge/trtforge/profiles"
)

// PackageOptions are the flags of package.
type PackageOptions struct {
	Format  string
	Out     string
	Name    string
	Release string
	Plan    string
	Bind    []string
}

// AddFlags declares the flags.
func (o *PackageOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Format, "format", "triton", "triton, a model repository of a graph; or tar, an archive of a directory")
	f.StringVarP(&o.Out, "out", "o", "", "the directory or archive to write")
	f.StringVar(&o.Name, "name", "model", "what Triton calls the model")
	f.StringVar(&o.Release, "release", "", "the release of Triton that will serve it, for instance 24.08")
	f.StringVar(&o.Plan, "plan", "", "the one profile: a plan `FILE` of `trtforge profiles derive --backend orttrt`")
	addBind(f, &o.Bind)
}

func newPackageCommand(g *globals) *cobra.Command {
	var opts PackageOptions
	c := &cobra.Command{
		Use:   "package PATH",
		Short: "Lay out what a server needs: a Triton model repository, or one archive",
		Long: `Package writes a Triton model repository of a graph for the onnxruntime backend, whose
TensorRT accelerator builds the engine on the server: config.pbtxt with the profile, only
parameters that the release takes (an unknown one stops the load), warm-up requests at the
profile's edges, checksums, and a README of where everything comes from. Or it writes a
directory, for instance an engine that ` + "`trtforge build -o`" + ` put there, as one tar archive
for a machine without a network; an engine is proved first.
` + exitStatus,
		Example: `  trtforge package model.onnx --plan plan.json --release 24.08 --name gpt2 -o repository
  trtforge package engines/int8 --format tar -o int8.tar`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runPackage(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	_ = c.MarkFlagRequired("out")
	return c
}

func runPackage(o PackageOptions, g *globals, path string) error {
	var err error
	switch o.Format {
	case "triton":
		err = packTriton(o, path)
	case "tar":
		err = packTar(o, path)
	default:
		err = fault.New(fault.Usage, "", "", fmt.Sprintf("--format %q", o.Format), "want triton or tar")
	}
	if err != nil {
		return err
	}
	return g.print(map[string]string{"out": o.Out}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, o.Out)
		return err
	})
}

func packTriton(o PackageOptions, path string) error {
	if o.Plan == "" || o.Release == "" {
		return fault.New(fault.Usage, "", "", "a repository needs --plan and --release", "derive a plan with --backend orttrt, and name the release of Triton")
	}
	if entries, err := os.ReadDir(o.Out); err == nil {
		for _, e := range entries { // what is replaced is a repository of this model
			if !slices.Contains([]string{o.Name, "README.md", "manifest.json", pack.Checksums}, e.Name()) {
				return fault.New(fault.Usage, "writing a repository to", o.Out, "the directory holds something else: "+e.Name(), "choose another one")
			}
		}
	}
	graph, err := graphFile(path)
	if err != nil {
		return err
	}
	m, err := onnx.Load(graph)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	c, err := infer(m, o.Bind)
	if err != nil {
		return err
	}
	plan, err := profiles.Load(o.Plan)
	if err != nil {
		return err
	}
	if err := profiles.Validate(c, plan.Profiles); err != nil {
		return fault.Wrap(fault.Usage, "packing", graph, err, "derive the plan from this graph")
	}
	return pack.Triton(o.Out, pack.Model{
		Name: o.Name, Release: o.Release, Contract: c, Profiles: plan.Profiles, Graph: graph, Data: m.DataFiles(),
		Notes: []string{"Written by " + createdBy() + "."},
	})
}

// packTar archives a directory; an engine is proved before.
func packTar(o PackageOptions, dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fsx.Explain("reading", dir, err)
	}
	if !info.IsDir() {
		return fault.New(fault.Usage, "packing", dir, "it is no directory", "name a directory")
	}
	if inside(o.Out, dir) {
		return fault.New(fault.Usage, "packing", dir, "the archive "+o.Out+" would lie in what it archives", "name a file outside of the directory")
	}
	if err := store.Prove(dir); err != nil {
		if fault.Classify(err) == fault.Input {
			return fault.New(fault.Input, "packing", dir, "its engine is damaged: "+err.Error(), "build it again: `trtforge build MODEL -o "+dir+"`")
		}
		return err
	}
	return fsx.WriteFile(o.Out, func(w io.Writer) error { return pack.Tar(w, dir) })
}

// inside tells whether a file lies, or would lie, in a directory or below it.
func inside(path, dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false
	}
	rel, err := filepath.Rel(dir, absolute(path))
	return err == nil && filepath.IsLocal(rel)
}
