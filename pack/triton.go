package pack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/profiles/syntax"
)

// Model is what a repository serves under one name.
type Model struct {
	Name     string // of the model in Triton
	Release  string // of Triton, "24.08"
	Contract *contract.Contract
	Profiles []profiles.Profile
	// Graph is the typed ONNX graph for the onnxruntime backend. Only the first
	// profile can run there.
	Graph  string
	Digest string // of the graph; onnx.Model.Digest
	// Data are the files of the graph's weights, which lie in its directory or below
	// ([onnx.Model.DataFiles]).
	Data []string
	// Plan is the TensorRT plan for the tensorrt backend, with all profiles; exactly
	// one of Graph and Plan is given.
	Plan     string
	Manifest *engine.Manifest // of the plan or of the engine that was verified; nil for none
	Notes    []string         // provenance, a paragraph each
	// Documents are written beside as JSON, by file name: verdicts.
	Documents map[string]any
}

// nameForm is what a directory and a model of Triton can be called.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

func (m Model) check() error {
	var errs []error
	bad := func(cause, fix string) { errs = append(errs, fault.New(fault.Usage, "packing", m.Name, cause, fix)) }
	if !nameForm.MatchString(m.Name) {
		bad("it is no name of a model", "use letters, digits, -, _ and .")
	}
	if (m.Graph == "") == (m.Plan == "") {
		bad("a model is a graph or a plan", "give one of the two")
	}
	if m.Contract == nil || len(m.Profiles) == 0 {
		bad("the server must know inputs and profiles", "give the contract and the plan of profiles")
	}
	if m.Graph != "" && m.Digest == "" {
		bad("the graph has no digest, which its engines are kept under", "give that of the graph")
	}
	if m.Graph != "" && len(m.Profiles) > 1 {
		bad(fmt.Sprintf("%d profiles, and the onnxruntime backend only ever runs the first", len(m.Profiles)), "derive one for the same workload: `trtforge profiles derive GRAPH --backend orttrt -o plan.json`, with --scenario, --trace or --lengths; then package with --plan plan.json")
	}
	return errors.Join(errs...)
}

// cachePath is where the server keeps the engines that it builds, in the container.
const cachePath = "/opt/tritonserver/trt-cache"

// accelerator are the parameters beside the profile: engines are kept, and in a
// directory of this graph and release alone. The provider names them after nodes, and
// one that another TensorRT wrote stops the load.
func (m Model) accelerator() map[string]string {
	if m.Graph == "" {
		return nil
	}
	return map[string]string{
		"trt_engine_cache_enable": "true", "trt_engine_cache_prefix": m.Name,
		"trt_engine_cache_path":   fmt.Sprintf("%s/%s-%s-%.12s", cachePath, m.Name, m.Release, m.Digest),
		"trt_timing_cache_enable": "true", "trt_timing_cache_path": cachePath,
	}
}

// Triton writes NAME/config.pbtxt, NAME/1/ with the model's file, manifest.json,
// README.md and checksums into dir, whole or not at all.
func Triton(dir string, m Model) error {
	if err := m.check(); err != nil {
		return err
	}
	config, err := m.config()
	if err != nil {
		return err
	}
	return fsx.WriteDir(dir, func(tmp string) error {
		home := filepath.Join(tmp, m.Name)
		if err := fsx.MkdirAll(filepath.Join(home, "1")); err != nil {
			return err
		}
		files, err := m.files()
		if err != nil {
			return err
		}
		for from, to := range files {
			if err := fsx.Copy(from, filepath.Join(home, "1", to)); err != nil {
				return fsx.Explain("writing", filepath.Join(dir, m.Name, "1", to), err)
			}
		}
		if err := write(filepath.Join(home, "config.pbtxt"), config); err != nil {
			return err
		}
		if m.Manifest != nil {
			if err := fsx.WriteJSON(filepath.Join(tmp, engine.ManifestFile), m.Manifest); err != nil {
				return err
			}
		}
		if err := Documents(tmp, m.Documents); err != nil {
			return err
		}
		if err := write(filepath.Join(tmp, "README.md"), m.readme()); err != nil {
			return err
		}
		return WriteChecksums(tmp)
	})
}

// files are the model's files and their names in the repository. The weights of a
// graph keep their names, which the graph says.
func (m Model) files() (map[string]string, error) {
	if m.Plan != "" {
		return map[string]string{m.Plan: "model.plan"}, nil
	}
	all := map[string]string{m.Graph: "model.onnx"}
	for _, data := range m.Data {
		name, err := filepath.Rel(filepath.Dir(m.Graph), data)
		if err != nil || !filepath.IsLocal(name) {
			return nil, fault.New(fault.Usage, "packing", data, "it does not lie in the graph's directory", "put it there")
		}
		all[data] = name
	}
	return all, nil
}

// config is config.pbtxt.
func (m Model) config() (string, error) {
	name := syntax.Triton
	parameters := m.accelerator()
	if m.Plan != "" {
		name = syntax.TritonTRT
	} else if err := takes(m.Release, withProfile(parameters)); err != nil {
		return "", err
	}
	text, err := syntax.Emit(name, syntax.Input{Profiles: m.Profiles, Contract: m.Contract, Accelerator: parameters})
	if err != nil {
		return "", err
	}
	warm, err := m.warmup()
	return fmt.Sprintf("name: %q\n", m.Name) + text + "version_policy: { specific: { versions: [ 1 ] } }\n" + warm, err
}

// withProfile adds the keys that the profile is written under.
func withProfile(parameters map[string]string) map[string]string {
	all := map[string]string{"trt_profile_min_shapes": "", "trt_profile_opt_shapes": "", "trt_profile_max_shapes": ""}
	for k, v := range parameters {
		all[k] = v
	}
	return all
}

// warmup asks for each profile at its edges, so that the first request of a user
// meets an engine that is built and warm. Values are zeros: token 0, nothing seen.
func (m Model) warmup() (string, error) {
	types := map[string]string{}
	for _, t := range m.Contract.Inputs {
		types[t.Name] = syntax.TritonType(t.Type)
	}
	var b strings.Builder
	comma := ""
	b.WriteString("model_warmup [\n")
	for _, p := range m.Profiles {
		for _, edge := range []struct {
			name string
			of   func(profiles.Range) []int64
		}{{"min", func(r profiles.Range) []int64 { return r.Min }}, {"max", func(r profiles.Range) []int64 { return r.Max }}} {
			fmt.Fprintf(&b, "%s  {\n    name: %q\n    batch_size: 1\n", comma, p.Name+"-"+edge.name)
			for _, r := range p.Inputs {
				if r.Values || types[r.Input] == "" {
					return "", fault.New(fault.Input, "writing the warm-up of", r.Input, "a shape tensor cannot be warmed up with zeros", "report this model")
				}
				fmt.Fprintf(&b, "    inputs { key: %q value: { data_type: %s dims: [ %s ] zero_data: true } }\n", r.Input, types[r.Input], list(edge.of(r)))
			}
			b.WriteString("  }")
			comma = ",\n"
		}
	}
	b.WriteString("\n]\n")
	return b.String(), nil
}

func list(dims []int64) string {
	words := make([]string, len(dims))
	for i, d := range dims {
		words[i] = fmt.Sprint(d)
	}
	return strings.Join(words, ", ")
}

func write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fsx.Explain("writing", path, err)
	}
	return nil
}
