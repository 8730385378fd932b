package runtimes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// Runtime is an installed runtime, or one that the user brought.
type Runtime struct {
	Name     string            `json:"name"`
	Dir      string            `json:"dir,omitempty"`     // where it is installed; "" if the user brought it
	Python   string            `json:"python,omitempty"`  // the interpreter, of a Python environment
	Library  string            `json:"library,omitempty"` // the shared library, of ort
	Site     string            `json:"site,omitempty"`    // where its Python packages live
	Versions map[string]string `json:"versions,omitempty"`
	Bytes    int64             `json:"bytes,omitempty"`   // on disk
	Brought  string            `json:"brought,omitempty"` // what named it, if it is not trtforge's own
}

// record is .complete, the last file an installation writes. Paths are relative
// to its directory, so that a whole cache can be moved.
type record struct {
	Kind          string            `json:"kind"`
	SchemaVersion int               `json:"schema_version"`
	CreatedBy     string            `json:"created_by"`
	Name          string            `json:"name"`
	Python        string            `json:"python,omitempty"`
	Library       string            `json:"library,omitempty"`
	Site          string            `json:"site,omitempty"`
	Over          string            `json:"over,omitempty"` // the interpreter this is laid over
	Versions      map[string]string `json:"versions"`
	Bytes         int64             `json:"bytes"`
}

const completeFile = ".complete"

// Find is the runtime as it stands: what the environment names, else what the
// user recorded, else what is installed and whole. It starts no process.
func Find(name string) (Runtime, bool) {
	spec, err := Lookup(name)
	if err != nil {
		return Runtime{}, false
	}
	if r, ok, err := brought(spec); err != nil || ok {
		return r, err == nil
	}
	dir, err := dirOf(spec)
	if err != nil {
		return Runtime{}, false
	}
	return installed(spec, dir)
}

// installed reads the .complete of dir. Anything amiss means not installed: the
// next Ensure then begins anew.
func installed(spec Spec, dir string) (Runtime, bool) {
	text, err := os.ReadFile(filepath.Join(dir, completeFile))
	if err != nil {
		return Runtime{}, false
	}
	var c record
	if err := json.Unmarshal(text, &c); err != nil || c.Kind != "runtime" || c.SchemaVersion != 1 || c.Name != spec.Name {
		return Runtime{}, false
	}
	r := Runtime{Name: c.Name, Dir: dir, Versions: c.Versions, Bytes: c.Bytes,
		Python: within(dir, c.Python), Library: within(dir, c.Library), Site: within(dir, c.Site)}
	if usable(spec, r) != nil {
		return Runtime{}, false
	}
	if spec.Over != "" {
		if below, ok := Find(spec.Over); !ok || below.Python != c.Over {
			return Runtime{}, false
		}
	}
	return r, true
}

func within(dir, rel string) string {
	if rel == "" {
		return ""
	}
	return filepath.Join(dir, rel)
}

// usable checks that the one file callers will use is there.
func usable(spec Spec, r Runtime) error {
	path := r.Python
	if spec.library() {
		path = r.Library
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Missing, "using", path, "there is no such file", "")
	case err != nil:
		return fmt.Errorf("using %s: %w", path, err)
	case info.IsDir():
		return fault.New(fault.Usage, "using", path, "it is a directory", "name the file itself")
	}
	return nil
}

// complete writes .complete, which makes dir an installed runtime.
func complete(dir string, r Runtime, over string) error {
	rel := func(path string) string {
		if path == "" {
			return ""
		}
		// Both are absolute, so this cannot fail.
		out, _ := filepath.Rel(dir, path)
		return out
	}
	return fsx.WriteJSON(filepath.Join(dir, completeFile), record{
		Kind: "runtime", SchemaVersion: 1, CreatedBy: "trtforge", Name: r.Name,
		Python: rel(r.Python), Library: rel(r.Library), Site: rel(r.Site), Over: over,
		Versions: r.Versions, Bytes: r.Bytes,
	})
}
