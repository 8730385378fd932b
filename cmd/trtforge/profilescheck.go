package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/junit"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/lint"
)

// CheckOptions are the flags of profiles check.
type CheckOptions struct {
	Model    string
	Contract string
	Workload string
	Backend  string
	Reach    string
	Build    lint.Options
	JUnit    string
	GitHub   bool
	Strict   bool
}

// AddFlags declares the flags.
func (o *CheckOptions) AddFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Model, "model", "", "the `GRAPH` (.onnx) that the profiles are for")
	f.StringVar(&o.Contract, "contract", "", "the contract `FILE` of the graph; without it the graph's own names decide")
	f.StringVar(&o.Workload, "workload", "", "the workload `FILE` to replay; without it a plan's own demand")
	f.StringVar(&o.Backend, "backend", string(lint.TensorRT), "who gets the profiles: "+backends())
	f.StringVar(&o.Reach, "reach", "", "which profiles it can run, any or first; without it the backend's")
	f.BoolVar(&o.Build.Refittable, "refittable", false, "the engine is refittable or weight-stripped")
	f.BoolVar(&o.Build.EngineCache, "engine-cache", false, "trt_engine_cache_enable is on")
	f.StringVar(&o.Build.CachePrefix, "cache-prefix", "", "trt_engine_cache_prefix")
	f.BoolVar(&o.Build.CUDAGraph, "cuda-graph", false, "trt_cuda_graph_enable is on")
	f.BoolVar(&o.Build.NoZero, "no-zero", false, "the builder refuses sizes of 0")
	f.StringVar(&o.Build.TRT, "trt", "", "the `VERSION` of TensorRT, as 10.13")
	f.StringVar(&o.Build.ORT, "ort", "", "the `VERSION` of ONNX Runtime, as 1.31")
	f.StringVar(&o.JUnit, "junit", "", "write a JUnit report to `FILE`, a case for each rule")
	f.BoolVar(&o.GitHub, "github", false, "print GitHub annotations on standard error")
	f.BoolVar(&o.Strict, "strict", false, "warnings fail, too")
}

func backends() string {
	var names []string
	for _, b := range lint.Backends() {
		names = append(names, string(b))
	}
	return strings.Join(names, ", ")
}

func newProfilesCheckCommand(g *globals) *cobra.Command {
	var opts CheckOptions
	c := &cobra.Command{
		Use:   "check PROFILES",
		Short: "Prove that profiles hold a workload, and find what will fail later",
		Long: `Check replays a whole workload against profiles: each shape that no reachable
profile holds is named with its scenario and step, the input and dimension, the
nearest profile and the smallest correction. Then it looks for mistakes that
TensorRT and ONNX Runtime accept and fail on later. Each finding has an id, a
severity and a fix; docs/rules.md explains every rule.

Errors end with status 1; warnings do with --strict. A rule that needs a graph,
a contract or a workload that was not given is not judged, and the last line says
how many were not.
` + exitStatus,
		Example: `  trtforge profiles check plan.json --model model.onnx
  trtforge profiles check plan.json --model model.onnx --workload workload.json --backend orttrt
  trtforge profiles check plan.json --contract contract.json --junit report.xml --github`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runProfilesCheck(opts, g, args[0]) },
	}
	opts.AddFlags(c.Flags())
	return c
}

func runProfilesCheck(o CheckOptions, g *globals, path string) error {
	s, err := o.subject(g, path)
	if err != nil {
		return err
	}
	r := lint.Examine(s, path)
	if o.JUnit != "" {
		if err := fsx.WriteFile(o.JUnit, func(w io.Writer) error { return junit.Write(w, r.JUnit(o.Strict)) }); err != nil {
			return err
		}
	}
	if o.GitHub {
		if err := r.Annotate(g.Err, path); err != nil {
			return err
		}
	}
	if err := g.print(r, func(w io.Writer) error { return r.Write(w, g.Verbose) }); err != nil {
		return err
	}
	if r.Failed(o.Strict) {
		return printed{fault.New(fault.Gate, "checking", path, r.Summary(), "")}
	}
	return nil
}

// subject reads everything that is judged.
func (o CheckOptions) subject(g *globals, path string) (s lint.Subject, err error) {
	s.Backend, s.Reach, s.Options = lint.Backend(o.Backend), profiles.Reach(o.Reach), o.Build
	if !slices.Contains(lint.Backends(), s.Backend) {
		return s, fault.New(fault.Usage, "", "", fmt.Sprintf("--backend %q", o.Backend), "want one of "+backends())
	}
	if s.Reach != "" && s.Reach != profiles.Any && s.Reach != profiles.First {
		return s, fault.New(fault.Usage, "", "", fmt.Sprintf("--reach %q", o.Reach), "want any or first")
	}
	if s.Profiles, s.Demand, err = checkedProfiles(path); err != nil {
		return s, err
	}
	if o.Workload != "" {
		if s.Workload, s.Demand, err = checkedWorkload(o.Workload); err != nil {
			return s, err
		}
	}
	if o.Contract != "" {
		if s.Contract, err = contract.Load(o.Contract); err != nil {
			return s, err
		}
	}
	if o.Model == "" {
		return s, nil
	}
	m, err := onnx.Load(o.Model)
	if err != nil {
		return s, err
	}
	defer func() { _ = m.Close() }()
	s.Graph = lint.Facts(m)
	if s.Contract == nil {
		if s.Contract, err = contract.Infer(m); err != nil {
			// An encoder has no contract, and its names and ranks can be judged all the same.
			g.Log.Warn("the graph is no decoder that is understood: rules about past and sequence are not judged", "why", err)
			s.Contract = nil
		}
	}
	return s, nil
}

// checkedProfiles reads profiles and, where the file has one, their demand.
func checkedProfiles(path string) ([]profiles.Profile, []profiles.Shape, error) {
	p, err := profiles.Load(path)
	if err != nil {
		return nil, nil, err
	}
	return p.Profiles, p.Demand, nil
}
