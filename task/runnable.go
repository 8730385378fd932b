package task

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/store"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/onnx"
)

// Runnable is an engine, or a graph, that can be measured: what a command line
// names, as jobs run it.
type Runnable struct {
	Name      string           // how rows call it
	Backend   string           // that runs it: ortcpu, rtx, orttrt, torch
	Precision engine.Precision // of its matrix products
	Model     jobs.Model
	Manifest  *engine.Manifest // nil for a graph
	Dir       string           // where its file lies
}

// namedArg is NAME=PATH, and no path with an equals sign in a directory's name.
var namedArg = regexp.MustCompile(`^([^=/\\]{1,100})=(.+)$`)

// OpenRunnable finds what an argument names: an engine's directory (manifest.json),
// the key of an engine in the store, whole or its first six characters or more, or
// an .onnx file, or a checkpoint for PyTorch to run. NAME=PATH gives it a name, which
// is otherwise the backend and precision of an engine and the file's name of a graph. The contract is
// contract.json beside the file, else what the graph says of itself. s may be nil:
// keys are then unknown. threads 0 leaves the choice to the runtime.
func OpenRunnable(arg string, s *store.Store, threads int) (*Runnable, error) {
	name, path := "", arg
	if m := namedArg.FindStringSubmatch(arg); m != nil {
		name, path = m[1], m[2]
	}
	r, err := openRunnable(path, s)
	if err != nil {
		return nil, err
	}
	if name != "" {
		r.Name = name
	}
	r.Model.Threads = threads
	return r, nil
}

func openRunnable(path string, s *store.Store) (*Runnable, error) {
	if how, dir, ok := pytorchArg(path); ok {
		return checkpointAt(how, dir)
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir() && isCheckpoint(path):
		return checkpointAt(torchArg, path)
	case err == nil && info.IsDir():
		return EngineIn(path)
	case err == nil && filepath.Base(path) == engine.ManifestFile:
		return EngineIn(filepath.Dir(path))
	case err == nil && strings.EqualFold(filepath.Ext(path), ".onnx"):
		return graphAt(path)
	case err == nil:
		return nil, fault.New(fault.Usage, "opening engine", path, "it is neither an engine's directory nor an .onnx file",
			"give the directory that holds manifest.json, an .onnx file, or a key of the store")
	case errors.Is(err, os.ErrNotExist) && s != nil && keyLike.MatchString(path):
		return stored(s, path)
	}
	return nil, fsx.Explain("opening engine", path, err)
}

var keyLike = regexp.MustCompile(`^[0-9a-f]{6,64}$`)

// stored is an engine of the store, proved.
func stored(s *store.Store, prefix string) (*Runnable, error) {
	key, err := s.Find(prefix)
	if err != nil {
		return nil, err
	}
	e, err := s.Get(key)
	if err != nil {
		return nil, err
	}
	e.Touch()
	return runnable(e.Dir, e.Manifest)
}

// EngineIn is the engine whose manifest lies in dir, proved where that has digests:
// figures of what was cut, or edited by hand, would go by a wrong name.
func EngineIn(dir string) (*Runnable, error) {
	m, err := engine.LoadManifest(filepath.Join(dir, engine.ManifestFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Input, "opening engine", dir, "it has no "+engine.ManifestFile, "build an engine with `trtforge build`, or name an .onnx file")
	}
	if err != nil {
		return nil, err
	}
	if m.Digests != nil {
		if _, err := store.Look(dir); err != nil {
			return nil, err
		}
	}
	return runnable(dir, m)
}

// runnable is the engine in dir as its manifest has it.
func runnable(dir string, m *engine.Manifest) (*Runnable, error) {
	if !filepath.IsLocal(m.File) {
		return nil, fault.New(fault.Input, "opening engine", dir, fmt.Sprintf("its manifest names %q, which lies outside", m.File), "build the engine again")
	}
	r := &Runnable{Name: m.Backend + "-" + string(m.Precision), Backend: m.Backend, Precision: m.Precision, Manifest: m, Dir: dir}
	if m.Target != "" {
		r.Name += "-" + m.Target
	}
	r.Model = jobs.Model{Path: filepath.Join(dir, m.File), Optimize: ort.OptimizeAll}
	if m.Steps != "" {
		if !filepath.IsLocal(m.Steps) {
			return nil, fault.New(fault.Input, "opening engine", dir, fmt.Sprintf("its manifest names %q, which lies outside", m.Steps), "build the engine again")
		}
		r.Model.Steps = filepath.Join(dir, m.Steps)
	}
	var err error
	r.Model.Contract, err = contractOf(r.Model.Path)
	return r, err
}

// graphAt is a graph that ONNX Runtime optimises itself when it opens it.
func graphAt(path string) (*Runnable, error) {
	m, err := onnx.Load(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Close() }()
	base := filepath.Base(path)
	r := &Runnable{
		Name: strings.TrimSuffix(base, filepath.Ext(base)), Backend: "ortcpu", Precision: engine.PrecisionOf(m), Dir: filepath.Dir(path),
		Model: jobs.Model{Path: path, Optimize: ort.OptimizeAll},
	}
	r.Model.Contract, err = contractOf(path)
	return r, err
}

// contractOf is what the inputs of an engine mean: the contract beside it, or for
// a graph what it says of itself.
func contractOf(path string) (*contract.Contract, error) {
	beside := filepath.Join(filepath.Dir(path), contract.File)
	if _, err := os.Stat(beside); err == nil {
		return contract.Load(beside)
	}
	if !strings.EqualFold(filepath.Ext(path), ".onnx") {
		return nil, fault.New(fault.Input, "opening engine", path, "there is no "+contract.File+" beside it to say what its inputs mean",
			"put the contract of the graph that it was built from there")
	}
	m, err := onnx.Load(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Close() }()
	return contract.Infer(m)
}

// NotHere is the engine in a directory where it does not run on this machine, without
// what a job would need; ok is false of any other argument.
func NotHere(ctx context.Context, arg string) (r *Runnable, ok bool) {
	name, dir := "", arg
	if m := namedArg.FindStringSubmatch(arg); m != nil {
		name, dir = m[1], m[2]
	}
	m, err := engine.LoadManifest(filepath.Join(dir, engine.ManifestFile))
	if err != nil || Idle(ctx, m) == "" {
		return nil, false
	}
	if name == "" {
		name = m.Backend + "-" + string(m.Precision)
	}
	return &Runnable{Name: name, Backend: m.Backend, Precision: m.Precision, Manifest: m, Dir: dir}, true
}
