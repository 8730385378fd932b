package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
	"github.com/trtforge/trtforge/profiles/syntax"
)

// CheckOptions are the flags of profiles check.
type CheckOptions struct {
	Graph    GraphFlags
	With     string
	From     string
	Workload WorkloadFlags
	Backend  string
	Reach    string
	Build    lint.Options
	JUnit    string
	GitHub   bool
	Strict   bool

	backendGiven bool
}

// AddFlags declares the flags.
func (o *CheckOptions) AddFlags(f *pflag.FlagSet) {
	o.Graph.AddFlags(f)
	f.StringVar(&o.With, "with", "", "the graph that the cache is exchanged with, as --model: a decode graph beside a prefill graph")
	fromFlag(f, &o.From)
	o.Workload.AddFlags(f)
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
		Long: `Check replays a whole workload against profiles: a plan, the options of any tool,
an engine's manifest.json or the .profile beside it, told apart by what is in them.
Each shape that no reachable profile holds is named with who asks for it in which
step, the input and dimension, the nearest profile and the smallest correction. Then it looks for mistakes that
TensorRT and ONNX Runtime accept and fail on later. Each finding has an id, a
severity and a fix; docs/rules.md explains every rule.

Errors end with status 1; warnings do with --strict. A rule that needs a graph,
a contract or a workload that was not given is not judged, and the last line says
how many were not.
` + exitStatus,
		Example: `  trtforge profiles check plan.json --model model.onnx
  trtforge profiles check plan.json --model model.onnx --scenario chat=4x27+8 --batch-max 8
  trtforge profiles check plan.json --model model.onnx --trace requests.jsonl --backend orttrt
  trtforge profiles check options.txt --model model.onnx --workload pipeline.toml --backend trtexec
  trtforge profiles check engine.profile --model contract.json --junit report.xml --github`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts.backendGiven = c.Flags().Changed("backend")
			return runProfilesCheck(opts, g, args[0])
		},
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
	for flag, version := range map[string]*string{"--trt": &s.Options.TRT, "--ort": &s.Options.ORT} {
		if *version = strings.TrimPrefix(*version, "v"); *version != "" && !lint.IsVersion(*version) {
			return s, fault.New(fault.Usage, "", "", flag+" "+strconv.Quote(*version), "want a version, as 10.13")
		}
	}
	if s.Reach != "" && s.Reach != profiles.Any && s.Reach != profiles.First {
		return s, fault.New(fault.Usage, "", "", fmt.Sprintf("--reach %q", o.Reach), "want any or first")
	}
	if err := o.graph(g, &s); err != nil {
		return s, err
	}
	if err := o.other(&s); err != nil {
		return s, err
	}
	inputs := s.Contract
	if inputs == nil && s.Graph != nil {
		inputs = &contract.Contract{Inputs: s.Graph.Inputs} // enough to fill in what a .profile leaves out
	}
	loaded, err := loadProfilesBy(syntax.ParseLoose, path, o.From, inputs, os.Stdin)
	if err != nil {
		return s, err
	}
	if s.Profiles = loaded.Profiles; loaded.Plan != nil {
		s.Demand, s.PaddedPast = loaded.Plan.Demand, loaded.Plan.PaddedPast
		if o.Reach == "" && !o.backendGiven {
			s.Reach = loaded.Plan.Reach // that of the backend it was derived for
		}
	}
	if o.Workload.Idle() {
		return s, fault.New(fault.Usage, "", "", "flags change a workload, and none is given", "name one with --scenario, --workload, --trace or --lengths")
	}
	if o.Workload.Given() {
		positions := 0
		if s.Contract != nil {
			positions = s.Contract.MaxPositions
		}
		w, _, err := o.Workload.Read(g, positions)
		if err != nil {
			return s, err
		}
		if err := w.Check(); err != nil {
			return s, err
		}
		s.Workload, s.Demand, s.PaddedPast = &w, profiles.Demand(w), w.PaddedPast
	}
	return s, nil
}

// other reads what the cache is exchanged with.
func (o CheckOptions) other(s *lint.Subject) (err error) {
	if o.With == "" {
		return nil
	}
	if s.Contract == nil {
		return fault.New(fault.Usage, "", "", "--with compares two graphs, and there is no contract of the first", "name it with --model")
	}
	s.Other, _, err = readContract(o.With, nil)
	return err
}

// graph reads the contract, and the facts of the graph where it is given. A graph
// without a contract is judged by its names, ranks and fixed sizes.
func (o CheckOptions) graph(g *globals, s *lint.Subject) (err error) {
	if o.Graph.Model == "" {
		_, err = o.Graph.load()
		return err
	}
	path, err := graphFile(o.Graph.Model)
	if err != nil {
		return err
	}
	if filepath.Ext(path) == ".json" {
		s.Contract, err = o.Graph.load()
		return err
	}
	m, err := onnx.Load(path)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	s.Graph = lint.Facts(m)
	if s.Contract, err = infer(m, o.Graph.Bind); err == nil {
		return nil
	}
	if len(o.Graph.Bind) > 0 {
		return err // who says what inputs mean wants them judged by it
	}
	g.Log.Warn("what the inputs mean is not clear: rules about batch, past and sequence are not judged", "why", err)
	s.Contract = nil
	return nil
}
