package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
)

// place is a path of the command line, and what named it.
type place struct{ name, path string }

// writing are the flags that name what a command writes; every other flag of a
// FILE or DIR names what it reads.
var writing = []string{"out", "html", "junit", "observations", "markdown", "man", "log"}

// guardOutputs has every command check its outputs before it runs.
func guardOutputs(c *cobra.Command) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			files, dirs := outputsOf(c)
			inputs := inputsOf(c, args)
			if c.Name() == "export" { // of a checkpoint, whose directory may get the graph
				inputs = nil
			}
			if err := apart(inputs, files, dirs); err != nil {
				return err
			}
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		guardOutputs(sub)
	}
}

// outputsOf are the files and directories that a command line has written.
func outputsOf(c *cobra.Command) (files, dirs []place) {
	dry, _ := c.Flags().GetBool("dry-run")
	each(c, func(f *pflag.Flag, kind, path string) {
		switch p := (place{flagName(f), path}); {
		case !slices.Contains(writing, f.Name), dry && f.Name == "out":
		case kind == "DIR":
			dirs = append(dirs, p)
		default:
			files = append(files, p)
		}
	})
	return files, dirs
}

// inputsOf are the paths that a command line reads.
func inputsOf(c *cobra.Command, args []string) (all []place) {
	for _, a := range args {
		all = append(all, place{"the argument", a})
	}
	each(c, func(f *pflag.Flag, _, path string) {
		if !slices.Contains(writing, f.Name) && f.Name != "store" {
			all = append(all, place{flagName(f), path})
		}
	})
	return all
}

// each visits the paths that flags name, with their kind by the flag's usage.
func each(c *cobra.Command, visit func(f *pflag.Flag, kind, path string)) {
	c.Flags().Visit(func(f *pflag.Flag) {
		kind, _ := pflag.UnquoteUsage(f)
		if c.Name() == "package" && f.Name == "out" && c.Flag("format").Value.String() != "tar" && filepath.Ext(f.Value.String()) != ".tar" {
			kind = "DIR"
		}
		if !strings.HasSuffix(kind, "FILE") && !strings.HasSuffix(kind, "DIR") && f.Name != "out" {
			return
		}
		paths := []string{f.Value.String()}
		if s, ok := f.Value.(pflag.SliceValue); ok {
			paths = s.GetSlice()
		}
		for _, p := range paths {
			if p != "" {
				visit(f, kind, p)
			}
		}
	})
}

func flagName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand
	}
	return "--" + f.Name
}

// apart refuses, as class usage, an output that is an input or another output, and
// a file where a directory is due or the reverse. It then sees that each can be
// written, so that minutes of work do not end with nowhere to put them.
func apart(inputs, files, dirs []place) error {
	for _, p := range slices.Concat(files, dirs) {
		info, err := os.Stat(p.path)
		if err != nil {
			continue
		}
		if wanted := slices.Contains(dirs, p); wanted != info.IsDir() {
			if wanted {
				return fault.New(fault.Usage, "", "", fmt.Sprintf("%s %s is a file, and a directory is written", p.name, p.path), "name a directory")
			}
			return fault.New(fault.Usage, "", "", fmt.Sprintf("%s %s is a directory, and a file is written", p.name, p.path), "name a file in it")
		}
	}
	var made []place
	for _, p := range slices.Concat(files, within(dirs)) {
		for _, other := range made {
			if same(p.path, other.path) {
				return fault.New(fault.Usage, "", "", fmt.Sprintf("%s and %s are one file, %s", other.name, p.name, p.path), "name a file for each")
			}
		}
		made = append(made, p)
	}
	for _, in := range inputs {
		for _, file := range partsOf(in.path, made) {
			for _, out := range made {
				if !same(file, out.path) {
					continue
				}
				if file == in.path {
					return fault.New(fault.Usage, "", "", fmt.Sprintf("%s and %s are one file, %s", out.name, in.name, out.path), "name a file for each")
				}
				return fault.New(fault.Usage, "", "", fmt.Sprintf("%s would replace %s, which %s names", out.name, file, in.name), "name another file")
			}
		}
	}
	for _, p := range made {
		if err := fsx.Writable(p.path); err != nil {
			return err
		}
	}
	return nil
}

// within are the files of a graph's directory that a command may write into dirs.
// A decision list is not among them: it is read before anything is written, and
// people edit it where it stands.
func within(dirs []place) (files []place) {
	for _, d := range dirs {
		for _, name := range []string{quant.ModelFile, quant.ModelFile + ".data", contract.File, quant.TableFile} {
			files = append(files, place{d.name, filepath.Join(d.path, name)})
		}
	}
	return files
}

// partsOf are the files that an input consists of: of a graph its weights, too, and
// of a directory the graph, weights and tokenizer in it. The weights' names are
// asked of the graph where one of the outputs lies beside it.
func partsOf(path string, outputs []place) []string {
	parts := []string{path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		for _, name := range []string{"model.safetensors", "config.json"} {
			parts = append(parts, filepath.Join(path, name))
		}
		parts = append(parts, bpe.Files(path)...)
		if path, err = graphFile(path); err != nil {
			return parts
		}
		parts = append(parts, path)
	}
	beside := slices.ContainsFunc(outputs, func(o place) bool { return same(filepath.Dir(o.path), filepath.Dir(path)) })
	if !beside || !strings.HasSuffix(path, ".onnx") {
		return parts
	}
	if m, err := onnx.Load(path); err == nil { // the command itself tells what is wrong with it
		parts = append(parts, m.Files()...)
		_ = m.Close()
	}
	return append(parts, path+".data")
}

// same tells whether two paths name one file, be it there or not. A device or a
// pipe is no file that could be replaced.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	if errX == nil && errY == nil {
		return (x.Mode().IsRegular() || x.IsDir()) && os.SameFile(x, y)
	}
	return errX != nil && errY != nil && absolute(a) == absolute(b)
}

// absolute is the path of a file that is not there, without links on the way.
func absolute(path string) string {
	path, err := filepath.Abs(fsx.Target(path))
	if err != nil {
		return path
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		return filepath.Join(dir, filepath.Base(path))
	}
	return path
}
