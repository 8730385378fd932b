package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/progress"
)

// stage is one step: files in, a directory of files out. Its key covers all
// that changes its output, so a stage whose directory carries that key, with
// every file as it was written, need not run.
type stage struct {
	name     string            // also its directory below stages/
	revision int               // raised whenever the output of the same inputs changes
	needs    []*stage          // whose outputs it reads
	params   map[string]string // settings that change the output
	files    map[string]string // files from outside, by the name they have in the key
	runtime  string            // the runtime that it needs: ort, rtx, reference; "" = none
	run      func(ctx context.Context, dir string, p progress.Counter) error
	check    func() error // what is wrong with its files, asked before any stage runs; nil = nothing
	// asks is set where the stage makes an engine: what that depends on, by which
	// it is known in the store too. Nothing of the above counts then.
	asks func() (map[string]string, error)

	dir     string   // where its outputs are
	sidecar *sidecar // of this run or of the cached one; nil before either
}

// path is an output of the stage.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// sidecarName is the file beside a stage's outputs that says what they are.
const sidecarName = "stage.json"

// sidecar is what a finished stage leaves beside its outputs.
type sidecar struct {
	Kind          string            `json:"kind"` // "stage"
	SchemaVersion int               `json:"schema_version"`
	CreatedBy     string            `json:"created_by"`
	Stage         string            `json:"stage"`
	Key           string            `json:"key"`
	Inputs        map[string]string `json:"inputs"`  // what the key covers
	Outputs       map[string]string `json:"outputs"` // sha256 by file
	ElapsedMS     float64           `json:"elapsed_ms"`
}

// inputs is everything that the stage's output depends on, by name. It needs
// the sidecars of the stages it reads.
func (s *stage) inputs() (map[string]string, error) {
	if s.asks != nil {
		return s.asks()
	}
	in := map[string]string{"revision": fmt.Sprint(s.revision)}
	for k, v := range s.params {
		in[k] = v
	}
	for name, path := range s.files {
		d, err := fsx.Digest(path)
		if err != nil {
			return nil, err
		}
		in["file "+name] = d
	}
	for _, n := range s.needs {
		for file, digest := range n.sidecar.Outputs {
			in[n.name+"/"+file] = digest
		}
	}
	return in, nil
}

// key is the sha256 of the inputs in the order of their names; of an engine its own.
func (s *stage) key(inputs map[string]string) string {
	if s.asks != nil {
		return engine.KeyOf(inputs)
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "stage %q\n", s.name)
	for _, k := range slices.Sorted(maps.Keys(inputs)) {
		_, _ = fmt.Fprintf(h, "%q=%q\n", k, inputs[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sidecarVersion is the version of the sidecar that this program writes and the
// newest that it reads.
const sidecarVersion = 1

// newer refuses, as class input, a directory that a later program filled: it may
// hold what this one would throw away.
func (s *stage) newer() error {
	b, err := os.ReadFile(s.path(sidecarName))
	if err != nil {
		return nil // not made yet
	}
	var old sidecar
	if json.Unmarshal(b, &old) != nil || old.SchemaVersion <= sidecarVersion {
		return nil // what is unreadable is made again
	}
	return fault.New(fault.Input, "reading the record of a stage", s.path(sidecarName),
		fmt.Sprintf("it has version %d, by %s; this program reads up to version %d", old.SchemaVersion, old.CreatedBy, sidecarVersion),
		"use that program, or another [output] dir")
}

// cached loads the stage's sidecar and verifies its outputs. why is empty for
// a stage that need not run and otherwise says what differs.
func (s *stage) cached(inputs map[string]string) (why string) {
	b, err := os.ReadFile(s.path(sidecarName))
	if err != nil {
		return "not made yet"
	}
	var old sidecar
	if err := json.Unmarshal(b, &old); err != nil || old.Kind != "stage" || old.SchemaVersion != sidecarVersion {
		return "its record is unreadable"
	}
	if old.Key != s.key(inputs) {
		return difference(old.Inputs, inputs)
	}
	for _, name := range slices.Sorted(maps.Keys(old.Outputs)) {
		if !filepath.IsLocal(name) {
			return "its record names a file outside of it"
		}
		d, err := fsx.Digest(s.path(name))
		if err != nil {
			return name + " is missing"
		}
		if d != old.Outputs[name] {
			return name + " was changed"
		}
	}
	s.sidecar = &old
	return ""
}

// difference names the first input that is not what it was.
func difference(old, now map[string]string) string {
	names := maps.Clone(old)
	maps.Copy(names, now)
	for _, k := range slices.Sorted(maps.Keys(names)) {
		before, had := old[k]
		after, has := now[k]
		switch {
		case !had:
			return "new input " + k
		case !has:
			return k + " is no longer an input"
		case before != after && len(before) < 40 && len(after) < 40:
			return fmt.Sprintf("%s was %s, is %s", k, before, after)
		case before != after:
			return k + " changed"
		}
	}
	return "its record is of another program"
}

// execute runs the stage into a temporary directory and gives it its name.
func (s *stage) execute(ctx context.Context, inputs map[string]string, createdBy string, p progress.Counter) error {
	start := time.Now()
	return fsx.WriteDir(s.dir, func(tmp string) error {
		if err := s.run(ctx, tmp, p); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		outputs, err := fsx.Digests(tmp)
		if err != nil {
			return err
		}
		s.sidecar = &sidecar{
			Kind: "stage", SchemaVersion: sidecarVersion, CreatedBy: createdBy, Stage: s.name,
			Key: s.key(inputs), Inputs: inputs, Outputs: outputs,
			ElapsedMS: float64(time.Since(start).Microseconds()) / 1000,
		}
		return fsx.WriteJSON(filepath.Join(tmp, sidecarName), s.sidecar)
	})
}
