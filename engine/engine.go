// Package engine says what is to be built, what was built, and what makes the two
// the same thing.
//
// A [Request] names a model, a plan of profiles, a precision and a target. A
// [Builder] (engine/ortcpu, engine/rtx) turns it into a file and a [Manifest], the
// record of what the builder really did. [Key] is the sha256 over everything that
// changes the result, so an engine is found by what it is and a stale one never
// is. [Achieved] holds the request against the builder's own account: an engine
// asked for as INT8 that runs no INT8 is a failed build, not a slow engine.
//
//	key := engine.Key(request, builder.Revision())
//	manifest, err := builder.Build(ctx, request, dir, counter)
//
// It does not run engines (lm) and does not know backends.
package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/profiles"
)

// Precision is the narrowest type that an engine's large matrix products use.
type Precision string

// The precisions.
const (
	FP32 Precision = "fp32"
	FP16 Precision = "fp16"
	BF16 Precision = "bf16"
	INT8 Precision = "int8"
	W8   Precision = "w8" // weights in INT8, products in float: the account of products cannot tell
)

// Request is an engine that is wanted. The graph decides the precision;
// Precision says which one is expected of it.
type Request struct {
	Name        string // how reports call it; changes nothing
	Backend     string // ortcpu, rtx
	Precision   Precision
	Model       string // path of the typed graph
	ModelDigest string // onnx.Model.Digest of it
	Contract    *contract.Contract
	Plan        *profiles.Plan    // nil where a backend has no profiles
	Target      string            // "" is the machine itself, or a portable plan
	Options     map[string]string // of the backend, each of which changes the engine
}

// KVScale is the scale of the cache's values, as the contract has it: engines with
// different ones cannot take over each other's cache.
func (r Request) KVScale() string {
	if r.Contract == nil {
		return ""
	}
	return r.Contract.KVScale
}

// Builder turns requests into engines.
type Builder interface {
	// Revision is everything about the builder that changes its output: name,
	// version, and what it takes from the machine.
	Revision() string
	// Build writes the engine into dir, an existing directory, and nothing
	// elsewhere; the caller keeps dir or removes it. A cancelled context ends the
	// build at once. The manifest states what was achieved, which Build has
	// compared with the request: a difference is an error of class runtime.
	Build(ctx context.Context, r Request, dir string, p progress.Counter) (*Manifest, error)
}

// recipe is raised whenever a builder of this program makes something else of the same
// inputs, so that a later program does not take an earlier one's engines for its own.
const recipe = 1

// Inputs is everything that the engine of a request depends on, by name; the
// key is its digest. Paths and names are not among it. The contract is, because it
// lies beside the engine and says how to feed it.
func Inputs(r Request, revision string) map[string]string {
	in := map[string]string{
		"recipe": fmt.Sprint(recipe), "backend": r.Backend, "precision": string(r.Precision), "model": r.ModelDigest,
		"target": r.Target, "builder": revision,
	}
	if r.Contract != nil {
		in["contract"] = r.Contract.Digest()
	}
	if r.Plan != nil {
		for i, p := range r.Plan.Profiles {
			for _, t := range p.Inputs {
				name := fmt.Sprintf("profile %d %s", i, t.Input)
				if t.Values {
					name += " values" // beside the range of its shape
				}
				in[name] = fmt.Sprint(t.Min, t.Opt, t.Max)
			}
		}
	}
	for k, v := range r.Options {
		in["option "+k] = v
	}
	return in
}

// OptionsOf are the backend's options among the inputs of a key.
func OptionsOf(inputs map[string]string) map[string]string {
	of := map[string]string{}
	for k, v := range inputs {
		if name, ok := strings.CutPrefix(k, "option "); ok {
			of[name] = v
		}
	}
	return of
}

// Key is the sha256 over [Inputs].
func Key(r Request, revision string) string { return KeyOf(Inputs(r, revision)) }

// KeyOf is the sha256 over named inputs in the order of their names.
func KeyOf(in map[string]string) string {
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(in)) {
		_, _ = fmt.Fprintf(h, "%q=%q\n", k, in[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// SchemaVersion is the version of the manifest that this program writes and the
// newest that it reads.
const SchemaVersion = 1

// Manifest is what a builder did. Files are relative to the engine's directory.
type Manifest struct {
	Kind          string    `json:"kind"` // "manifest"
	SchemaVersion int       `json:"schema_version"`
	CreatedBy     string    `json:"created_by,omitempty"`
	Key           string    `json:"key"`
	Backend       string    `json:"backend"`
	Precision     Precision `json:"precision"` // requested
	Achieved      Precision `json:"achieved"`  // by the builder's own account
	Target        string    `json:"target,omitempty"`
	ModelDigest   string    `json:"model_digest"`
	Builder       string    `json:"builder"` // name and version
	File          string    `json:"file"`
	Steps         string    `json:"steps,omitempty"` // the file that runs decode steps, where File is of prefill alone
	Files         []string  `json:"files,omitempty"` // what belongs to it besides File
	Bytes         int64     `json:"bytes"`           // of File and Files together
	FileDigest    string    `json:"file_sha256"`
	// Account is a file in which the builder's own account of the engine is kept;
	// the engine does not need it.
	Account string `json:"account,omitempty"`
	// Log is what the builder printed, as far as it was kept.
	Log string `json:"log,omitempty"`
	// KVScale is the digest of the factors by which the cache's values are
	// rescaled; empty where they are as the model makes them.
	KVScale string `json:"kv_scale,omitempty"`
	// Profiles are those that the engine holds.
	Profiles []profiles.Profile `json:"profiles,omitempty"`
	// Layers counts the engine's layers by class and type: "gemm int8": 8.
	Layers map[string]int `json:"layers,omitempty"`
	// Memory is what it needs to run, where the builder says so.
	Memory *Memory `json:"memory,omitempty"`
	// Adopted says that nobody here built the engine: what it was made of is not
	// known, and only its file is proved.
	Adopted bool `json:"adopted,omitempty"`
	// Measured is what two builds of one request need not share.
	Measured Measured `json:"measured"`
	// Inputs are what the key is the digest of; Digests are the sha256 of every
	// file beside the manifest. A store fills in both.
	Inputs  map[string]string `json:"inputs,omitempty"`
	Digests map[string]string `json:"digests,omitempty"`
	// Hashed are the sha256 of files that the builder hashed as it wrote them, so that
	// a store need not read them again.
	Hashed   map[string]string `json:"-"`
	Licence  string            `json:"licence,omitempty"` // of the builder, where it says something about the engine
	Warnings []string          `json:"warnings,omitempty"`

	extra keep.Fields // of writers that know more
}

// plain is a Manifest without its methods.
type plain Manifest

// UnmarshalJSON keeps the fields that this program does not know.
func (m *Manifest) UnmarshalJSON(b []byte) (err error) {
	m.extra, err = keep.Unmarshal(b, (*plain)(m))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (m Manifest) MarshalJSON() ([]byte, error) { return keep.Marshal(plain(m), m.extra) }

// Memory is what an engine needs on its device.
type Memory struct {
	WeightsBytes int64           `json:"weights_bytes"`
	Profiles     []ProfileMemory `json:"profiles"`
}

// ProfileMemory is what running in one profile takes besides the weights, the inputs
// and the outputs.
type ProfileMemory struct {
	Profile         string `json:"profile"`
	ActivationBytes int64  `json:"activation_bytes"` // of an execution context, scratch included
	ScratchBytes    int64  `json:"scratch_bytes"`    // of the layer that needs most
	HostBytes       int64  `json:"host_persistent_bytes"`
	DeviceBytes     int64  `json:"device_persistent_bytes"`
}

// Measured is what a build took.
type Measured struct {
	BuildMS   float64 `json:"build_ms"`
	PeakBytes int64   `json:"peak_bytes,omitempty"` // of the builder's process tree
	Phases    []Phase `json:"phases,omitempty"`
}

// Phase is a part of a build.
type Phase struct {
	Name string  `json:"name"`
	MS   float64 `json:"ms"`
}

// maxManifest bounds a manifest file: thousands of layers and profiles.
const maxManifest = 64 << 20

// LoadManifest reads the manifest at path.
func LoadManifest(path string) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading manifest", path, err)
	}
	defer func() { _ = f.Close() }()
	return ReadManifest(f, path)
}

// ReadManifest reads a manifest; path names it in errors, which are of class
// input.
func ReadManifest(r io.Reader, path string) (*Manifest, error) {
	f := keep.File{Doing: "reading manifest", Path: path, Kind: "manifest", Version: SchemaVersion, Max: maxManifest, Fix: "build the engine again"}
	b, err := f.Read(r)
	if err != nil {
		return nil, err
	}
	m := &Manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, f.Bad(keep.Explain(err))
	}
	return m, nil
}

// products are the layer classes that precision is about: matrix products, by
// the words that ONNX Runtime and TensorRT use in lower case.
var products = []string{"gemm", "matmul", "matrix_multiply", "matrixmultiply", "fully_connected", "convolution", "myelin_gemm"}

// Achieved is the narrowest type among the matrix products that a builder's
// account of layers shows; an error of class runtime where it is not the one that
// was asked for.
func Achieved(want Precision, layers map[string]int) (Precision, error) {
	count := map[Precision]int{}
	for layer, n := range layers {
		class, typ, _ := strings.Cut(layer, " ")
		if slices.ContainsFunc(products, func(p string) bool { return strings.Contains(strings.ToLower(class), p) }) {
			count[precisionOf(typ)] += n
		}
	}
	got := FP32
	switch {
	case count[INT8] > 0:
		got = INT8
	case count[BF16] > 0:
		got = BF16
	case count[FP16] > 0:
		got = FP16
	}
	if want == W8 && got != INT8 {
		return W8, nil
	}
	if got != want {
		return got, fault.New(fault.Runtime, "checking that the engine is", string(want),
			fmt.Sprintf("its matrix products run in %s; layers: %s", got, describe(layers)),
			"check that the graph is typed and that scales lie on the weight's output axis")
	}
	return got, nil
}

// Accounts tells whether a builder's account of layers says anything of matrix
// products; one that does not is no ground for [Achieved].
func Accounts(layers map[string]int) bool {
	for layer := range layers {
		class, _, _ := strings.Cut(layer, " ")
		if slices.ContainsFunc(products, func(p string) bool { return strings.Contains(strings.ToLower(class), p) }) {
			return true
		}
	}
	return false
}

func precisionOf(typ string) Precision {
	switch t := strings.ToLower(typ); {
	case strings.Contains(t, "int8"):
		return INT8
	case strings.Contains(t, "bfloat16"), strings.Contains(t, "bf16"):
		return BF16
	case strings.Contains(t, "half"), strings.Contains(t, "float16"), strings.Contains(t, "fp16"):
		return FP16
	}
	return FP32
}

func describe(layers map[string]int) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(layers)) {
		all = append(all, fmt.Sprintf("%d %s", layers[k], k))
	}
	return strings.Join(all, ", ")
}
