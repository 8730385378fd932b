package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/pack/bundle"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
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
			e, verdicts, err := opts.adopt(c.Context(), s, args[0])
			if err != nil {
				return err
			}
			out := adopted{Manifest: e.Manifest, Verdicts: verdicts}
			err = g.print(out, func(w io.Writer) error { return out.write(w, e) })
			if failed := gate.Err(verdicts); failed != nil && g.JSON {
				return errors.Join(err, printed{failed}) // the verdicts say it
			} else if failed != nil {
				return errors.Join(err, failed)
			}
			return err
		},
	}
	opts.AddFlags(c.Flags())
	return c
}

// adopted is what adopt prints as JSON.
type adopted struct {
	*engine.Manifest
	Verdicts []gate.Verdict `json:"verdicts,omitempty"` // of a bundle's result
}

func (a adopted) write(w io.Writer, e *store.Entry) error {
	how := "taken into the store"
	if e.Cached {
		how = "the store has it"
	}
	_, err := fmt.Fprintf(w, "%s\n%s, key %.12s, %s\n", e.File(), bytesText(a.Bytes), a.Key, how)
	for _, v := range a.Verdicts {
		_, _ = fmt.Fprintf(w, "%s %s: %s %s\n", v.Gate, orDash(v.Phase), v.Status, v.Evidence+v.Reason)
	}
	return err
}

// adopt takes what path is, and judges the result of a bundle.
func (o AdoptOptions) adopt(ctx context.Context, s *store.Store, path string) (*store.Entry, []gate.Verdict, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fsx.Explain("reading", path, err)
	}
	if strings.HasSuffix(path, ".tar") {
		return nil, nil, fault.New(fault.Usage, "adopting", path, "it is an archive", "unpack it (tar xf), run build.sh on a GPU machine if it is a bundle, and adopt the directory")
	}
	if !info.IsDir() {
		e, err := o.foreign(ctx, s, path)
		return e, nil, err
	}
	if o.Adopt || o.Precision != "" || o.Plan != "" || o.Model != "" {
		return nil, nil, fault.New(fault.Usage, "adopting", path, "a directory says itself what its engine is", "leave the flags out, or name the plan in it")
	}
	if bundle.Is(path) {
		return returned(ctx, s, path)
	}
	if store.IsEngine(path) {
		e, err := s.Take(ctx, path)
		return e, nil, err
	}
	return nil, nil, fault.New(fault.Input, "adopting", path, "it holds neither an engine with its manifest and seal nor the result of a bundle",
		"name the directory that `trtforge build -o` wrote, the result of a bundle, or a plan")
}

// returned takes a bundle's result and holds it to the bundle's limits.
func returned(ctx context.Context, s *store.Store, path string) (*store.Entry, []gate.Verdict, error) {
	b, err := bundle.Read(path)
	if err != nil {
		return nil, nil, err
	}
	e, all, err := b.Result(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	all = append(all, rows.Exact(b.Head.Name, "engine_bytes", "bytes", float64(e.Manifest.Bytes)))
	precision := string(b.Head.Precision)
	judged := []gate.Engine{{Name: b.Head.Name, Backend: e.Manifest.Backend, Precision: precision}}
	return e, gate.Evaluate(judged, map[string]gate.Limits{precision: b.Head.Limits}, all), nil
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
