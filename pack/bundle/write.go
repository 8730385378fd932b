package bundle

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/pack"
	"github.com/trtforge/trtforge/profiles"
)

// The files of a bundle. Those of the result are in resultDir, by the names that
// engine/trtexec gives them.
const (
	headFile   = "build.json"
	modelFile  = "model.onnx"
	planFile   = "plan.json"
	scriptFile = "build.sh"
	resultDir  = "result"
	sumsFile   = "sha256" // in it, of what is in it
)

// SchemaVersion is the version of build.json that this program writes and the
// newest that it reads.
const SchemaVersion = 1

// Head is build.json: what is asked of the machine with the GPU.
type Head struct {
	Kind          string           `json:"kind"` // "build"
	SchemaVersion int              `json:"schema_version"`
	CreatedBy     string           `json:"created_by"`
	Name          string           `json:"name"`
	Precision     engine.Precision `json:"precision"`
	ModelDigest   string           `json:"model_digest"`
	WeightBytes   int64            `json:"weight_bytes"` // an engine has at least about so many
	Profiles      int              `json:"profiles"`
	// Limits are the gates that the result is held to, by name.
	Limits map[string]float64 `json:"limits,omitempty"`
}

// Input is what a bundle is made of.
type Input struct {
	Request   engine.Request // its plan and contract are needed
	Data      []string       // files of the graph's weights ([onnx.Model.DataFiles])
	Limits    map[string]float64
	CreatedBy string
	Notes     []string       // of the README, a paragraph each
	Documents map[string]any // written beside as JSON, by file name: verdicts
}

// Write writes a bundle into dir, whole or not at all.
func Write(dir string, in Input) error {
	r := in.Request
	if r.Plan == nil || len(r.Plan.Profiles) == 0 || r.Contract == nil || r.ModelDigest == "" {
		return fault.New(fault.Usage, "packing", r.Name, "a bundle needs a graph, its contract and its profiles", "derive a plan (`trtforge profiles derive`) and give it with --plan")
	}
	if err := profiles.Validate(r.Contract, r.Plan.Profiles); err != nil {
		return fault.Wrap(fault.Usage, "packing", r.Name, err, "derive the plan from this graph")
	}
	text, err := script(r)
	if err != nil {
		return err
	}
	return fsx.WriteDir(dir, func(tmp string) error {
		at := func(name string) string { return filepath.Join(tmp, name) }
		head := Head{Kind: "build", SchemaVersion: SchemaVersion, CreatedBy: in.CreatedBy, Name: r.Name, Precision: r.Precision,
			ModelDigest: r.ModelDigest, Profiles: len(r.Plan.Profiles), Limits: in.Limits}
		if head.WeightBytes, err = in.copy(tmp); err != nil {
			return err
		}
		for _, write := range []func() error{
			func() error { return fsx.WriteJSON(at(headFile), head) },
			func() error { return in.contract().Save(at(contract.File)) },
			func() error { return r.Plan.Save(at(planFile)) },
			func() error { return pack.Documents(tmp, in.Documents) },
			func() error { return put(at(scriptFile), text, 0o755) },
			func() error { return put(at("README.md"), in.readme(head), 0o644) },
			func() error { return pack.WriteChecksums(tmp) },
		} {
			if err := write(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (in Input) contract() *contract.Contract { return in.Request.Contract }

// copy copies the graph and its weights, and returns how many bytes they have.
func (in Input) copy(dir string) (total int64, err error) {
	home := filepath.Dir(in.Request.Model)
	files := map[string]string{in.Request.Model: modelFile}
	for _, data := range in.Data {
		name, err := filepath.Rel(home, data)
		if err != nil || !filepath.IsLocal(name) {
			return 0, fault.New(fault.Usage, "packing", data, "it does not lie in the graph's directory", "put it there")
		}
		files[data] = name
	}
	for from, to := range files {
		if err := fsx.Copy(from, filepath.Join(dir, to)); err != nil {
			return 0, fsx.Explain("writing", to, err)
		}
		info, err := os.Stat(from)
		if err != nil {
			return 0, fsx.Explain("reading", from, err)
		}
		total += info.Size()
	}
	return total, nil
}

func put(path, text string, mode os.FileMode) error {
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return fsx.Explain("writing", path, err)
	}
	return nil
}

func (in Input) readme(h Head) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# A build of %s for a machine with a GPU

It needs an NVIDIA GPU, its driver, and trtexec of TensorRT 10 or 11. There:

    ./build.sh                         # or TRTEXEC=/path/to/trtexec ./build.sh

proves these files, builds the plan, and times each profile at its optimum. Bring
this directory back, or only %s/ into a copy of it that stayed, and run

    trtforge engines adopt THIS_DIRECTORY

What must come out: a plan with %d profiles whose matrix products run in %s, of a graph
whose digest is %s and whose files have %d bytes. A difference is refused.
`, h.Name, resultDir, h.Profiles, h.Precision, h.ModelDigest, h.WeightBytes)
	for _, name := range slices.Sorted(maps.Keys(h.Limits)) {
		fmt.Fprintf(&b, "It is held to %s %v.\n", name, h.Limits[name])
	}
	b.WriteString("\n| profile | input | min | opt | max |\n|---|---|---|---|---|\n")
	for _, p := range in.Request.Plan.Profiles {
		for _, r := range p.Inputs {
			fmt.Fprintf(&b, "| %s | %s | %v | %v | %v |\n", p.Name, r.Input, r.Min, r.Opt, r.Max)
		}
	}
	for _, n := range append(in.Notes, pack.Redistribution) {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	return b.String()
}
