package main

import (
	"fmt"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/pack"
	"github.com/trtforge/trtforge/pack/bundle"
	"github.com/trtforge/trtforge/profiles"
)

// packTriton writes a model repository into dir: of a TensorRT plan for the tensorrt
// backend, else of a graph for the onnxruntime backend.
func packTriton(o PackageOptions, path, dir string, open opener) error {
	if o.Release == "" {
		return fault.New(fault.Usage, "", "", "a repository needs --release", "name the release of Triton that will serve it, for instance 24.08")
	}
	if err := onlyOwn(dir, o.Name, "README.md", engine.ManifestFile, "verdicts.json", pack.Checksums); err != nil {
		return err
	}
	s, err := o.openSource(path, open)
	if err != nil {
		return err
	}
	if err := s.passed(); err != nil {
		return err
	}
	m := pack.Model{Name: o.Name, Release: o.Release, Notes: s.notes(), Documents: s.documents()}
	if s.entry != nil {
		m.Manifest = s.entry.Manifest
	}
	if s.entry != nil && s.graph == "" || s.classic() {
		return o.packPlan(m, s, dir)
	}
	return o.packGraph(m, s, dir)
}

// classic tells whether a source is a plan of the TensorRT that Triton runs.
func (s *source) classic() bool {
	if s.entry == nil {
		return false
	}
	h, err := planfile.Read(s.entry.File())
	return err == nil && h.Family == planfile.TensorRT
}

// packPlan is for the tensorrt backend, which switches profiles.
func (o PackageOptions) packPlan(m pack.Model, s *source, dir string) error {
	e := s.entry.Manifest
	switch {
	case !s.classic():
		return fault.New(fault.Usage, "packing", s.entry.Dir, "it is an engine of "+e.Backend+", and Triton runs TensorRT plans and ONNX graphs",
			"package its graph, or build a plan with trtexec (--format bundle)")
	case s.contract == nil:
		return fault.New(fault.Usage, "packing", s.entry.Dir, "nothing says what its inputs mean", "adopt it with --model GRAPH, or build it again")
	case s.plan == nil:
		return fault.New(fault.Usage, "packing", s.entry.Dir, "nothing says its profiles", "adopt it with --plan PROFILES")
	}
	m.Plan, m.Contract, m.Profiles = s.entry.File(), s.contract, s.plan.Profiles
	return pack.Triton(dir, m)
}

// packGraph is for the onnxruntime backend, which only ever runs one profile.
func (o PackageOptions) packGraph(m pack.Model, s *source, dir string) error {
	if s.plan == nil || o.Plan == "" && !s.results {
		return fault.New(fault.Usage, "", "", "a repository of a graph needs --plan", "derive a plan with --backend orttrt")
	}
	graph, err := o.graphOf(s)
	if err != nil {
		return err
	}
	defer func() { _ = graph.Close() }()
	if o.Plan == "" && len(s.plan.Profiles) > 1 { // the run proved them for what switches profiles
		many := len(s.plan.Profiles)
		s.plan, err = s.plan.Again(s.contract, profiles.Options{Strategy: "auto", Reach: profiles.First, Backend: "orttrt", CreatedBy: createdBy(), WeightBytes: graph.Size()})
		if err != nil {
			return fault.Wrap(fault.Usage, "packing", s.name, err, "derive one profile of "+s.graph+" with --backend orttrt, and name it with --plan")
		}
		m.Notes = append(m.Notes, fmt.Sprintf("The run proved %d profiles; the onnxruntime backend only ever runs one, so one was derived that covers all that the run asks for.", many))
	}
	if m.Digest, err = graph.Digest(); err != nil {
		return err
	}
	m.Contract, m.Profiles, m.Graph, m.Data = s.contract, s.plan.Profiles, s.graph, graph.DataFiles()
	return pack.Triton(dir, m)
}

// graphOf loads a source's graph, and infers its contract where none lay with it.
func (o PackageOptions) graphOf(s *source) (*onnx.Model, error) {
	m, err := onnx.Load(s.graph)
	if err != nil {
		return nil, err
	}
	if s.contract == nil || len(o.Bind) > 0 {
		s.contract, err = infer(m, o.Bind)
	}
	if err == nil && s.plan != nil {
		err = fault.Wrap(fault.Usage, "packing", s.graph, profiles.Validate(s.contract, s.plan.Profiles), "derive the plan from this graph")
	}
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// packBundle writes a build for a machine with a GPU into dir.
func packBundle(o PackageOptions, path, dir string, open opener) error {
	s, err := o.openSource(path, open)
	if err != nil {
		return err
	}
	if err := s.passed(); err != nil {
		return err
	}
	if s.graph == "" {
		return fault.New(fault.Usage, "packing", path, "it is an engine without its graph, and a bundle builds a graph", "name the graph, or a run's results with --engine")
	}
	m, err := o.graphOf(s)
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	if reasons := engine.Refused(m); reasons != nil {
		return fault.New(fault.Input, "packing", s.graph, "TensorRT will refuse the graph: "+reasons[0], "`trtforge inspect "+s.graph+"` shows all that it refuses")
	}
	in := bundle.Input{Data: m.DataFiles(), CreatedBy: createdBy(), Notes: s.notes(), Documents: s.documents(), Limits: limitsOf(s)}
	in.Request = engine.Request{Backend: "trtexec", Precision: engine.PrecisionOf(m), Model: s.graph, Contract: s.contract, Plan: s.plan}
	if s.entry != nil {
		e := s.entry.Manifest
		in.Notes = append(in.Notes, fmt.Sprintf("Where it was packed, %s made %s of this graph in %.1f s, %s.", e.Builder, bytesText(e.Bytes), e.Measured.BuildMS/1000, e.Achieved))
	}
	in.Request.Name = fmt.Sprintf("trtexec-%s", in.Request.Precision)
	if in.Request.ModelDigest, err = m.Digest(); err != nil {
		return err
	}
	if err := bundle.Free(dir); err != nil {
		return err
	}
	return bundle.Write(dir, in)
}

// limitsOf are the limits that a source's engine was held to.
func limitsOf(s *source) map[string]float64 {
	limits := map[string]float64{}
	for _, v := range s.verdicts {
		limits[v.Gate] = v.Limit
	}
	return limits
}
