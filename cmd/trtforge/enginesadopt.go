package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
)

// AdoptOptions are the flags of engines adopt.
type AdoptOptions struct {
	GraphFlags
	Adopt     bool
	Precision string
	Plan      string
}

// AddFlags declares the flags.
func (o *AdoptOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.Adopt, "adopt", false, "take a plan that has no manifest: nobody can prove what it was built from")
	f.StringVar(&o.Precision, "precision", "", "what its owner says that it is: fp32, fp16, bf16, int8 or w8")
	f.StringVar(&o.Plan, "plan", "", "its profiles: a plan, a .profile, or the text of any tool, as profiles show reads them")
	o.GraphFlags.AddFlags(f)
}

func newEnginesAdoptCommand(g *globals, open opener) *cobra.Command {
	var opts AdoptOptions
	c := &cobra.Command{
		Use: "adopt PATH", Short: "Take an engine that was built elsewhere into the store", Args: cobra.ExactArgs(1),
		Long: `Adopt takes into the store what another machine built: the directory of an engine, as
build -o writes it; what a build bundle (package --format bundle) left behind on its
GPU machine, which is held against the request as a build here would be; or a bare
TensorRT or TensorRT-RTX plan. Of the last nothing proves what it was made of, so it is
taken with --adopt only, its manifest says so, and no build is ever answered with it.
` + exitStatus,
		Example: `  trtforge engines adopt bundle/result
  trtforge engines adopt their.engine --adopt --precision fp16 --plan their.profile --model model.onnx`,
		RunE: func(c *cobra.Command, args []string) error {
			s, err := open()
			if err != nil {
				return err
			}
			e, err := opts.adopt(c.Context(), s, args[0])
			if err != nil {
				return err
			}
			return g.print(e.Manifest, func(w io.Writer) error {
				how := "taken into the store"
				if e.Cached {
					how = "the store has it"
				}
				_, err := fmt.Fprintf(w, "%s\n%s, key %.12s, %s\n", e.File(), bytesText(e.Manifest.Bytes), e.Manifest.Key, how)
				return err
			})
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

// adopt takes what path is.
func (o AdoptOptions) adopt(ctx context.Context, s *store.Store, path string) (*store.Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fsx.Explain("reading", path, err)
	}
	if !info.IsDir() {
		return o.foreign(ctx, s, path)
	}
	if o.Adopt || o.Precision != "" || o.Plan != "" || o.Model != "" {
		return nil, fault.New(fault.Usage, "adopting", path, "a directory says itself what its engine is", "leave the flags out, or name the plan in it")
	}
	if _, err := os.Stat(filepath.Join(path, "manifest.json")); err == nil {
		return s.Take(ctx, path)
	}
	return nil, fault.New(fault.Input, "adopting", path, "it holds neither an engine with its manifest nor the result of a bundle",
		"name the directory that `trtforge build -o` wrote, the result of a bundle, or a plan")
}

// foreign takes a plan on its owner's word.
func (o AdoptOptions) foreign(ctx context.Context, s *store.Store, path string) (*store.Entry, error) {
	if !o.Adopt {
		return nil, fault.New(fault.Usage, "adopting", path, "nothing says what this file was built from, so nothing about it can be proved",
			"build it from its graph with `trtforge build`, or take it as it is with --adopt")
	}
	f := store.Foreign{File: path, Precision: engine.Precision(o.Precision)}
	if o.Precision != "" && !known(f.Precision) {
		return nil, fault.New(fault.Usage, "", "", fmt.Sprintf("--precision %q", o.Precision), "want fp32, fp16, bf16, int8 or w8, or leave it out")
	}
	var err error
	if f.Contract, err = o.load(); err != nil {
		return nil, err
	}
	if o.Plan == "" {
		return s.Adopt(ctx, f)
	}
	l, err := loadProfiles(o.Plan, "", f.Contract, nil)
	if err != nil {
		return nil, err
	}
	if f.Profiles = l.Profiles; f.Contract != nil {
		if err := profiles.Validate(f.Contract, f.Profiles); err != nil {
			return nil, fault.Wrap(fault.Usage, "adopting", path, err, "name the graph that the profiles are for")
		}
	}
	return s.Adopt(ctx, f)
}

func known(p engine.Precision) bool {
	switch p {
	case engine.FP32, engine.FP16, engine.BF16, engine.INT8, engine.W8:
		return true
	}
	return false
}
