package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/ortcpu"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/worker"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// BuildOptions are the flags of build.
type BuildOptions struct {
	Backend   string
	Precision string
	Plan      string
	Target    string
	Out       string
	Store     string
	Bind      []string
	Timeout   time.Duration
	Setup     bool
	Accept    bool
	DryRun    bool
}

// AddFlags declares the flags.
func (o *BuildOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Backend, "backend", "rtx", "what the engine is for: rtx or ortcpu")
	f.StringVar(&o.Precision, "precision", "", "what the graph must be: fp32, fp16, bf16, int8 or w8; another one is refused, and so is an engine that lost it (default: what it is)")
	f.StringVar(&o.Plan, "plan", "", "the profiles: a plan `FILE` of `trtforge profiles derive`")
	f.StringVar(&o.Target, "target", "", "the GPU of an rtx engine: "+strings.Join(rtx.Targets[1:], ", ")+"; a portable engine where not given")
	f.StringVarP(&o.Out, "out", "o", "", "put the engine and its manifest into `DIR` too")
	addStore(f, &o.Store)
	addBind(f, &o.Bind)
	f.DurationVar(&o.Timeout, "timeout", 30*time.Minute, "of the build")
	f.BoolVar(&o.Setup, "setup", false, "install the builder where it is not there")
	f.BoolVar(&o.Accept, "accept-licence", false, "accept the licences that --setup shows")
	f.BoolVar(&o.DryRun, "dry-run", false, "say whether the store has the engine and why not, and build nothing")
}

// addStore declares --store.
func addStore(f *pflag.FlagSet, into *string) {
	f.StringVar(into, "store", "", "the engine store `DIR` (default $TRTFORGE_STORE, or $TRTFORGE_HOME/store)")
}

func newBuildCommand(g *globals) *cobra.Command {
	var opts BuildOptions
	c := &cobra.Command{
		Use:   "build MODEL",
		Short: "Build an engine, or take the proved one from the store",
		Long: `Build makes an engine of a typed graph, in the precision that the graph has: a TensorRT for RTX plan with NVIDIA's own
builder, which needs no GPU, or an optimised model for ONNX Runtime on this CPU. What was
built is held against what was asked for, and a difference is a failure: precision by the
builder's own account of its layers, and the profiles. The engine goes into the store; a
second build of the same request takes it from there, once it is proved.
` + exitStatus,
		Example: `  trtforge profiles derive model.onnx --scenario chat=1x128+64 -o plan.json
  trtforge build model.onnx --plan plan.json --target sm89 -o engines/fp32
  trtforge build model.onnx --plan plan.json --target sm86 --dry-run`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return runBuild(c.Context(), opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	return c
}

// built is what build prints.
type built struct {
	Key      string             `json:"key"`
	File     string             `json:"file,omitempty"`
	Cached   bool               `json:"cached"`
	Nearest  string             `json:"nearest,omitempty"`
	Differs  []store.Difference `json:"differs,omitempty"`
	Damage   string             `json:"damage,omitempty"`
	Manifest *engine.Manifest   `json:"manifest,omitempty"`
}

func runBuild(ctx context.Context, o BuildOptions, g *globals, path string) error {
	r, err := o.request(path)
	if err != nil {
		return err
	}
	if o.Out != "" && !o.DryRun {
		if err := store.Free(o.Out); err != nil {
			return err
		}
	}
	how := store.Open
	if o.DryRun {
		how = store.View
	}
	s, err := openStore(g, o.Store, how)
	if err != nil {
		return err
	}
	b := o.builder(g)
	defer b.close()
	if o.DryRun {
		return foresee(g, s, r, b)
	}
	bar := g.bars.open(r.Name)
	e, err := s.Build(ctx, b, r, bar)
	bar.Done(err)
	if err != nil {
		return err
	}
	out := built{Key: e.Manifest.Key, File: e.File(), Cached: e.Cached, Manifest: e.Manifest}
	if o.Out != "" {
		if err := e.Export(o.Out); err != nil {
			return err
		}
		out.File = filepath.Join(o.Out, e.Manifest.File)
	}
	return g.print(out, func(w io.Writer) error {
		how := fmt.Sprintf("built in %.1f s", e.Manifest.Measured.BuildMS/1000)
		if e.Cached {
			how = "from the store, proved"
		}
		_, err := fmt.Fprintf(w, "%s\n%s, %s, key %.12s, %s\n", out.File, e.Manifest.Achieved, bytesText(e.Manifest.Bytes), out.Key, how)
		return err
	})
}

// foresee says whether a build would be a hit, and what is different if not.
func foresee(g *globals, s *store.Store, r engine.Request, b engine.Builder) error {
	inputs := engine.Inputs(r, b.Revision())
	near, diff, err := s.Why(inputs)
	if err != nil {
		return err
	}
	out := built{Key: engine.KeyOf(inputs), Differs: diff}
	if near != nil {
		out.Nearest = near.Manifest.Key
	}
	if near != nil && len(diff) == 0 {
		_, err := s.Get(out.Key)
		if out.Cached = err == nil; err != nil {
			out.Damage = err.Error()
		}
	}
	return g.print(out, func(w io.Writer) error {
		if out.Cached {
			_, err := fmt.Fprintf(w, "hit: the store has %.12s\n", out.Key)
			return err
		}
		_, _ = fmt.Fprintf(w, "to build: %.12s\n", out.Key)
		switch {
		case near == nil:
			_, err := fmt.Fprintln(w, "the store is empty")
			return err
		case out.Damage != "":
			_, err := fmt.Fprintln(w, "the one in the store is damaged: "+out.Damage)
			return err
		}
		_, err := fmt.Fprintf(w, "the nearest engine is %.12s; what differs:\n%s", out.Nearest, differText(diff))
		return err
	})
}

// request is what the flags ask for. Everything wrong with them is told before
// anything runs.
func (o BuildOptions) request(path string) (r engine.Request, err error) {
	p := engine.Precision(o.Precision)
	if p != "" && !slices.Contains([]engine.Precision{engine.FP32, engine.FP16, engine.BF16, engine.INT8, engine.W8}, p) {
		return r, fault.New(fault.Usage, "", "", fmt.Sprintf("--precision %q", o.Precision), "want fp32, fp16, bf16, int8 or w8, or leave it out")
	}
	switch o.Backend {
	case "rtx":
		if o.Plan == "" {
			return r, fault.New(fault.Usage, "", "", "an rtx engine needs profiles, and --plan names none", "derive a plan first: `trtforge profiles derive`")
		}
	case "ortcpu":
		if o.Plan != "" {
			return r, fault.New(fault.Usage, "", "", "ortcpu has no profiles, and --plan names some", "leave it out")
		}
	default:
		return r, fault.New(fault.Usage, "", "", fmt.Sprintf("--backend %q", o.Backend), "want rtx or ortcpu")
	}
	if path, err = graphFile(path); err != nil {
		return r, err
	}
	r = engine.Request{Backend: o.Backend, Model: path, Target: o.Target}
	if o.Plan != "" {
		if r.Plan, err = profiles.Load(o.Plan); err != nil {
			return r, err
		}
	}
	m, err := onnx.Load(path)
	if err != nil {
		return r, err
	}
	defer func() { _ = m.Close() }()
	r.Precision = engine.PrecisionOf(m)
	r.Name = o.Backend + "-" + string(r.Precision)
	switch {
	case p != "" && p != r.Precision:
		return r, fault.Wrap(fault.Input, "building", path, engine.CheckGraph(m, p), "leave --precision out, or quantize the model first")
	case o.Backend == "ortcpu" && r.Precision == engine.BF16:
		return r, fault.New(fault.Input, "building", path, "ONNX Runtime's CPU has no BF16 products", "build it for --backend rtx")
	}
	if r.ModelDigest, err = m.Digest(); err != nil {
		return r, err
	}
	r.Contract, err = o.contract(m)
	return r, err
}

// contract is what the graph's inputs mean; a CPU engine needs none.
func (o BuildOptions) contract(m *onnx.Model) (*contract.Contract, error) {
	if o.Backend == "ortcpu" && len(o.Bind) == 0 {
		return nil, nil
	}
	return infer(m, o.Bind)
}

// starter is a builder whose processes are started when it first builds.
type starter struct {
	engine.Builder
	close func()
}

func (o BuildOptions) builder(g *globals) starter {
	find := &locate{g: g, install: o.Setup, accept: o.Accept}
	var ends []func() error
	end := func() {
		for _, e := range ends {
			_ = e() // it has been asked for nothing more
		}
	}
	if o.Backend == "ortcpu" {
		return starter{&ortcpu.Builder{Version: runtimes.VersionOf("ort"), CreatedBy: createdBy(), Start: func(ctx context.Context) (ortcpu.Caller, error) {
			r, err := find.Get(ctx, "ort")
			if err != nil {
				return nil, err
			}
			c := &ort.Client{Library: r.Library, Log: io.Discard, Run: o.Timeout}
			ends = append(ends, c.Close)
			return c, nil
		}}, end}
	}
	return starter{&rtx.Builder{Version: runtimes.VersionOf("rtx"), CreatedBy: createdBy(), Start: func(ctx context.Context) (rtx.Worker, error) {
		r, err := find.Get(ctx, "rtx")
		if err != nil {
			return nil, err
		}
		c, err := worker.Start(ctx, worker.RTX, worker.Options{Python: r.Python, Log: io.Discard, Run: o.Timeout})
		if err == nil {
			ends = append(ends, c.Close)
		}
		return c, err
	}}, end}
}
