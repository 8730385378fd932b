package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/profiles"
)

// source is what package packs: a graph, an engine, or an engine of a run's results,
// which has both, with what its gates said.
type source struct {
	name     string
	graph    string       // "" where only an engine was named
	entry    *store.Entry // nil where only a graph was named; proved
	plan     *profiles.Plan
	contract *contract.Contract // nil where only a bare engine was named
	verdicts []gate.Verdict
	results  bool // it is of a run's results
}

// openSource finds what path and the flags name.
func (o PackageOptions) openSource(path string, open opener) (*source, error) {
	s := &source{name: o.Name}
	var err error
	if run, name := ofRun(path); run != "" && o.Engine == "" {
		path, o.Engine = run, name // its gates are known there
	}
	switch info, missing := os.Stat(path); {
	case missing == nil && info.IsDir() && isResults(path):
		err = s.result(path, o.Engine)
	case o.Engine != "":
		err = fault.New(fault.Usage, "packing", path, "--engine names one of a run's results, and these are none", "name an [output] dir")
	case missing == nil && info.IsDir() && store.IsEngine(path):
		s.entry, err = whole(path)
	case missing != nil && errors.Is(missing, fs.ErrNotExist) && keyLike(path):
		var in *store.Store
		if in, err = open(); err == nil {
			s.entry, err = chosen(in, path)
		}
		if err == nil {
			s.entry.Touch()
		}
	default:
		s.graph, err = graphFile(path)
	}
	if err == nil && s.entry != nil && s.contract == nil {
		err = s.beside()
	}
	if err == nil && o.Plan != "" {
		s.plan, err = profiles.Load(o.Plan)
	}
	return s, err
}

func keyLike(s string) bool {
	return len(s) >= 6 && strings.Trim(s, "0123456789abcdef") == ""
}

// beside is the contract and the profiles that lie with an engine.
func (s *source) beside() error {
	if p := s.entry.Manifest.Profiles; len(p) > 0 {
		s.plan = &profiles.Plan{Profiles: p}
	}
	path := filepath.Join(s.entry.Dir, contract.File)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	var err error
	s.contract, err = contract.Load(path)
	return err
}

// isResults tells whether a directory is what `trtforge run` left.
func isResults(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "summary.json"))
	return err == nil
}

// ofRun is the results that the directory of an engine lies in, and its name there; ""
// for none.
func ofRun(dir string) (results, name string) {
	dir = absolute(dir)
	results = filepath.Dir(filepath.Dir(filepath.Dir(dir)))
	if rel, err := filepath.Rel(results, dir); err != nil || filepath.Dir(rel) != filepath.Join("stages", "engine") || !isResults(results) {
		return "", ""
	}
	return results, filepath.Base(dir)
}

// verdictsOf are those of a run's results: of accuracy and size, and of speed.
func verdictsOf(dir string) ([]gate.Verdict, error) {
	path := filepath.Join(dir, "summary.json")
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fsx.Explain("reading results", path, err)
	}
	var s struct {
		Kind     string         `json:"kind"`
		Verdicts []gate.Verdict `json:"verdicts"`
		Measured struct {
			Verdicts []gate.Verdict `json:"verdicts"`
		} `json:"measured"`
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Kind != "summary" {
		return nil, fault.Wrap(fault.Input, "reading results", path, errors.Join(err, fmt.Errorf("kind %q", s.Kind)), "run the pipeline again")
	}
	return append(s.Verdicts, s.Measured.Verdicts...), nil
}

// result is one engine of a run: as it was built, with the graph that it was built of.
func (s *source) result(dir, name string) error {
	verdicts, err := verdictsOf(dir)
	if err != nil {
		return err
	}
	home := filepath.Join(dir, "stages", "engine")
	entries, err := os.ReadDir(home)
	if err != nil {
		return fsx.Explain("reading results", home, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Contains(names, name) {
		return fault.New(fault.Usage, "packing", dir, fmt.Sprintf("the run has no engine %q", name), "name one with --engine: "+strings.Join(names, ", "))
	}
	for _, v := range verdicts {
		if v.Engine == name {
			s.verdicts = append(s.verdicts, v)
		}
	}
	s.results, s.name = true, name
	made, err := s.made(filepath.Join(home, name))
	if err != nil {
		return err
	}
	if s.graph, err = graphOf(dir, made); err != nil {
		return err
	}
	if s.contract, err = contract.Load(filepath.Join(filepath.Dir(s.graph), contract.File)); err != nil {
		return err
	}
	s.plan, err = profiles.Load(filepath.Join(dir, "stages", "profiles", "plan.json"))
	return err
}

// made is the manifest of a run's engine, and the engine itself where this machine
// could build it: of one that needs a GPU only its graph is there.
func (s *source) made(dir string) (*engine.Manifest, error) {
	if !store.IsEngine(dir) {
		return engine.LoadManifest(filepath.Join(dir, engine.ManifestFile))
	}
	var err error
	if s.entry, err = whole(dir); err != nil {
		return nil, err
	}
	return s.entry.Manifest, nil
}

// whole is the proved engine of a directory.
func whole(dir string) (*store.Entry, error) {
	e, err := store.Look(dir)
	return e, damaged(dir, err)
}

// damaged says what an engine that is not proved is to its user.
func damaged(dir string, err error) error {
	if fault.Classify(err) != fault.Input {
		return err
	}
	return fault.New(fault.Input, "packing", dir, "its engine is damaged: "+err.Error(), "copy it again, or build it again: `trtforge build MODEL -o "+dir+"`")
}

// graphOf is the typed graph of a run that an engine was built of, by its digest.
func graphOf(dir string, m *engine.Manifest) (string, error) {
	var all []string
	for _, pattern := range []string{"stages/export/*.onnx", "stages/quantize/*/*.onnx"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", fault.Wrap(fault.Usage, "packing", dir, err, "name a directory without *, ? and [")
		}
		all = append(all, found...)
	}
	for _, path := range all {
		graph, err := onnx.Load(path)
		if err != nil {
			return "", err
		}
		digest, err := graph.Digest()
		_ = graph.Close()
		if err != nil {
			return "", err
		}
		if digest == m.ModelDigest {
			return path, nil
		}
	}
	return "", fault.New(fault.Input, "packing", dir, fmt.Sprintf("none of its graphs is that of the engine, %.12s", m.ModelDigest), "run the pipeline again")
}

// passed refuses, as class gate, what a gate has failed.
func (s *source) passed() error {
	err := gate.Err(s.verdicts)
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Gate, "packing", s.name, err, "an engine that failed a gate is not packed; quantize less, or set the limit that you can accept and run again")
}

// notes say where what is packed comes from and what was found of it.
func (s *source) notes() []string {
	all := []string{"Written by " + createdBy() + "."}
	if s.entry != nil && s.entry.Manifest.Adopted {
		all = append(all, "The engine was adopted: nobody can prove what it was built from.")
	}
	for _, v := range s.verdicts {
		text := fmt.Sprintf("Gate %s %s: %s", v.Gate, v.Phase, v.Status)
		switch {
		case v.Reason != "":
			text += " (" + v.Reason + ")"
		case v.Evidence != "":
			text += " (" + v.Evidence + ")"
		}
		all = append(all, text)
	}
	if s.verdicts == nil {
		all = append(all, "No gate has judged it.")
	}
	return all
}

// documents are what is written beside: the verdicts, where there are any.
func (s *source) documents() map[string]any {
	if s.verdicts == nil {
		return nil
	}
	return map[string]any{"verdicts.json": s.verdicts}
}
