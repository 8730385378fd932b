package engine

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/profiles"
)

// ManifestFile is the manifest in an engine's directory, which it makes one.
const ManifestFile = "manifest.json"

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

// NewManifest begins the record of a build with what the request says. Achieved is
// what was asked for until the builder knows better.
func NewManifest(r Request, revision, createdBy string) *Manifest {
	m := &Manifest{
		Kind: "manifest", SchemaVersion: SchemaVersion, CreatedBy: createdBy, Key: Key(r, revision),
		Backend: r.Backend, Precision: r.Precision, Achieved: r.Precision, Target: r.Target,
		ModelDigest: r.ModelDigest, KVScale: r.KVScale(), Builder: revision,
	}
	if r.Plan != nil {
		m.Profiles = r.Plan.Profiles
	}
	return m
}

// Weigh fills in the size of the engine in dir, File and Files together, and File's
// sha256. Those of perhaps that are there join Files first.
func (m *Manifest) Weigh(dir string, perhaps ...string) (err error) {
	for _, name := range perhaps {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			m.Files = append(m.Files, name)
		}
	}
	m.Bytes = 0
	for _, name := range append([]string{m.File}, m.Files...) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return fsx.Explain("reading", name, err)
		}
		m.Bytes += info.Size()
	}
	m.FileDigest, err = fsx.Digest(filepath.Join(dir, m.File))
	return err
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
