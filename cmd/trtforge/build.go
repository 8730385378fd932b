package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/decorate"
	"github.com/trtforge/trtforge/engine/local"
	"github.com/trtforge/trtforge/engine/orttrt"
	"github.com/trtforge/trtforge/engine/rtx"
	"github.com/trtforge/trtforge/engine/store"
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
	Memory    string
	Setup     bool
	Accept    bool
	DryRun    bool
	Options   []string
	Split     bool
	Implicit  bool
	Table     string
	Plugin    string
	Trtexec   string
}

// AddFlags declares the flags.
func (o *BuildOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Backend, "backend", "rtx", "what the engine is for: "+strings.Join(buildBackends(), ", "))
	f.StringVar(&o.Precision, "precision", "", "what the graph must be: fp32, fp16, bf16, int8 or w8; another one is refused, and so is an engine that lost it (default: what it is)")
	f.StringVar(&o.Plan, "plan", "", "the profiles: a plan `FILE` of `trtforge profiles derive`")
	f.StringVar(&o.Target, "target", "", "the GPU of an rtx engine: "+strings.Join(rtx.Targets[1:], ", ")+"; a portable engine where not given")
	f.StringVarP(&o.Out, "out", "o", "", "put the engine and its manifest into `DIR` too")
	addStore(f, &o.Store)
	addBind(f, &o.Bind)
	f.StringArrayVar(&o.Options, "option", nil, "an option of the builder, `NAME=VALUE` (may be repeated): see below")
	f.BoolVar(&o.Split, "split", false, "orttrt: prefill and decode are an engine each, from a plan of both")
	f.BoolVar(&o.Implicit, "implicit", false, "orttrt: take --precision from flags instead of from the graph, on TensorRT 10 and older")
	f.StringVar(&o.Table, "table", "", "orttrt: the calibration table `FILE` of --implicit --precision int8, as calibrate --emit writes it for ONNX Runtime or TensorRT")
	f.StringVar(&o.Plugin, "plugin", "", "orttrt: the `LIBRARY` of the provider's plugin form, which TensorRT 11 needs (default $TRTFORGE_TRT_PLUGIN)")
	f.StringVar(&o.Trtexec, "trtexec", "", "the trtexec at `PATH` (default: the one in PATH)")
	f.DurationVar(&o.Timeout, "timeout", 30*time.Minute, "of the build")
	f.StringVar(&o.Memory, "memory-limit", "", "rtx and ortcpu: the most that the builder's processes may take, for instance 8GB (default 80 % of what there is)")
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
		Long: `Build makes an engine of a typed graph, in the precision that the graph has. Backends:
  rtx      a TensorRT for RTX plan by NVIDIA's own builder, which needs no GPU
  ortcpu   an optimised model for ONNX Runtime on this CPU
  orttrt   an engine of ONNX Runtime's TensorRT provider, on this machine's GPU
  ortcuda  an optimised model for ONNX Runtime's CUDA provider, on this machine's GPU
  trtexec  a TensorRT plan by an installed trtexec, on this machine's GPU
What was built is held against what was asked for, and a difference is a failure:
precision by the builder's own account of its layers, the profiles, and who runs the
nodes. On a machine that lacks the GPU, the driver or a library the last three end
with status 3 and say what is missing; nothing slower takes their place. The engine
goes into the store; a second build of the same request takes it from there, once it
is proved.

Options of orttrt (of ortcuda: tf32 and device):
` + orttrt.Names() + exitStatus,
		Example: `  trtforge profiles derive model.onnx --scenario chat=1x128+64 -o plan.json
  trtforge build model.onnx --plan plan.json --target sm89 -o engines/fp32
  trtforge build model.onnx --plan plan.json --target sm86 --dry-run
  trtforge build model.onnx --backend orttrt --plan phases.json --split --option level=5`,
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
		return errors.Join(err, o.lacks(ctx, r.Options)) // what is wrong here, and what would be next
	}
	if o.Out != "" && !o.DryRun {
		if err := store.Free(o.Out); err != nil {
			return err
		}
	}
	b, err := o.builder(ctx, g, r.Options)
	if err != nil {
		return err
	}
	defer b.close()
	if r.ModelDigest, err = digestOf(r.Model); err != nil { // reads every weight, so it comes last
		return err
	}
	how := store.Open
	if o.DryRun {
		how = store.View
	}
	s, err := openStore(g, o.Store, how)
	if err != nil {
		return err
	}
	if o.DryRun {
		return foresee(g, s, r, b)
	}
	care := decorate.Care{Log: g.Log, GPU: local.Is(o.Backend), Device: o.device(r.Options), Need: s.Peak}
	if o.Backend == local.Trtexec { // the others' children watch the time that a build takes
		care.Timeout = o.Timeout
	}
	bar := g.bars.open(r.Name)
	e, err := s.Build(ctx, care.Around(b), r, bar)
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
