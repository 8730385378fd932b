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
	"github.com/trtforge/trtforge/pack"
)

// PackageOptions are the flags of package.
type PackageOptions struct {
	Format  string
	Out     string
	Name    string
	Release string
	Plan    string
	Engine  string
	Store   string
	Bind    []string
}

// AddFlags declares the flags.
func (o *PackageOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Format, "format", "triton", "triton, a model repository; bundle, a build for a machine with a GPU; or tar, an archive")
	f.StringVarP(&o.Out, "out", "o", "", "the directory or archive to write; repositories and bundles become an archive where it ends with .tar")
	f.StringVar(&o.Name, "name", "model", "what Triton calls the model")
	f.StringVar(&o.Release, "release", "", "the release of Triton that will serve it, for instance 24.08")
	f.StringVar(&o.Plan, "plan", "", "the profiles: a plan `FILE` of `trtforge profiles derive` (default: those of the engine, or of the run); of a graph for Triton the one of --backend orttrt")
	f.StringVar(&o.Engine, "engine", "", "which engine of a run's results, for instance rtx-int8")
	addStore(f, &o.Store)
	addBind(f, &o.Bind)
}

func newPackageCommand(g *globals) *cobra.Command {
	var opts PackageOptions
	c := &cobra.Command{
		Use:   "package PATH",
		Short: "Lay out what a server or a GPU machine needs: a Triton repository, a build bundle, or one archive",
		Long: `Package writes what another machine needs, with the manifest, checksums and a README of
where everything comes from and what may be passed on. PATH is a graph, an engine (its
directory, or its key in the store), or a run's results, of which --engine names one
engine. One that failed a gate is not packed: exit status 1.

triton  A model repository. Of a graph for the onnxruntime backend, whose TensorRT
        accelerator builds the engine on the server: config.pbtxt with the profile, and
        only parameters that the release takes (an unknown one stops the load); where
        a run proved several profiles, one over all that it asks for. Of a
        TensorRT plan for the tensorrt backend, with all profiles. Warm-up requests at
        the profiles' edges. Triton runs no TensorRT-RTX plans.
bundle  A graph, its profiles and a script that builds the plan with trtexec on a machine
        with a GPU and times it; ` + "`trtforge engines adopt`" + ` takes the result back.
tar     An engine, proved, or a directory, as one archive for a machine without a network.
` + exitStatus,
		Example: `  trtforge package model.onnx --plan plan.json --release 24.08 --name gpt2 -o repository
  trtforge package build/demo --engine rtx-int8 --format bundle -o int8-build.tar
  trtforge package engines/int8 --format tar -o int8.tar`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runPackage(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	_ = c.MarkFlagRequired("out")
	return c
}

func runPackage(o PackageOptions, g *globals, path string) error {
	open := func() (*store.Store, error) { return openStore(g, o.Store, store.View) }
	var err error
	switch o.Format {
	case "triton":
		err = o.laidOut(func(dir string) error { return packTriton(o, path, dir, open) })
	case "bundle":
		err = o.laidOut(func(dir string) error { return packBundle(o, path, dir, open) })
	case "tar":
		err = packTar(o, path, open)
	default:
		err = fault.New(fault.Usage, "", "", fmt.Sprintf("--format %q", o.Format), "want triton, bundle or tar")
	}
	if err != nil {
		return err
	}
	return g.print(map[string]string{"out": o.Out}, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, o.Out)
		return err
	})
}

// laidOut lays out a directory, as such or in an archive.
func (o PackageOptions) laidOut(fill func(dir string) error) error {
	if filepath.Ext(o.Out) != ".tar" {
		return fill(o.Out)
	}
	if err := fsx.Writable(o.Out); err != nil {
		return err
	}
	// Beside the archive, for there is room for it there.
	tmp, err := os.MkdirTemp(filepath.Dir(o.Out), fsx.TempPrefix+"*")
	if err != nil {
		return fsx.Explain("writing", o.Out, err)
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	name := filepath.Base(o.Out)
	dir := filepath.Join(tmp, name[:len(name)-len(".tar")])
	if err := fill(dir); err != nil {
		return err
	}
	return fsx.WriteFile(o.Out, func(w io.Writer) error { return pack.Tar(w, dir, nil) })
}

// onlyOwn refuses a directory that holds more than what an earlier run of this
// command, which is replaced, left there.
func onlyOwn(dir string, own ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // there is none yet
	}
	for _, e := range entries {
		if !slices.Contains(own, e.Name()) {
			return fault.New(fault.Usage, "writing a package to", dir, "the directory holds something else: "+e.Name(), "choose another one")
		}
	}
	return nil
}

// packTar archives an engine, proved, or a directory.
func packTar(o PackageOptions, path string, open opener) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.IsDir():
		return fault.New(fault.Usage, "packing", path, "it is no directory", "name a directory")
	case err == nil && inside(o.Out, path):
		return fault.New(fault.Usage, "packing", path, "the archive "+o.Out+" would lie in what it archives", "name a file outside of the directory")
	case err == nil && o.Engine == "" && !store.IsEngine(path):
		return o.packDirectory(path)
	case err != nil && !keyLike(path):
		return fsx.Explain("reading", path, err)
	}
	s, err := o.openSource(path, open)
	if err != nil {
		return err
	}
	if err := s.passed(); err != nil {
		return err
	}
	if s.entry == nil {
		return fault.New(fault.Usage, "packing", o.Engine, "it was not built on that machine, so there is no engine to pack", "pack its build with --format bundle")
	}
	if filepath.Ext(o.Out) != ".tar" {
		return fault.New(fault.Usage, "writing", o.Out, "an archive's name ends with .tar", "name it so")
	}
	return o.laidOut(pack.Engine{Manifest: s.entry.Manifest, Copy: s.entry.CopyTo, Documents: s.documents(), Notes: s.notes()}.Pack)
}

// packDirectory archives a directory as it is. Of a run's results nothing may have
// failed a gate.
func (o PackageOptions) packDirectory(dir string) error {
	notes := []string{"Written by " + createdBy() + "."}
	if _, err := os.Stat(filepath.Join(dir, pack.Checksums)); err != nil { // of a package those prove more
		if err := damaged(dir, store.Prove(dir)); err != nil {
			return err
		}
	}
	if isResults(dir) {
		s := &source{name: dir}
		var err error
		if s.verdicts, err = verdictsOf(dir); err != nil {
			return err
		}
		if err := s.passed(); err != nil {
			return err
		}
		notes = s.notes()
	}
	return fsx.WriteFile(o.Out, func(w io.Writer) error { return pack.Archive(w, dir, notes) })
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
