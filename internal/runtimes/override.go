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
	"github.com/trtforge/trtforge/internal/keep"
)

// overrides is override.json: the runtimes that the user brought, by name.
type overrides struct {
	Kind          string             `json:"kind"`
	SchemaVersion int                `json:"schema_version"`
	CreatedBy     string             `json:"created_by"`
	Runtimes      map[string]Runtime `json:"runtimes"`

	extra keep.Fields // of writers that know more
}

// plain is overrides without its methods.
type plain overrides

// UnmarshalJSON keeps the fields that this program does not know.
func (o *overrides) UnmarshalJSON(b []byte) (err error) {
	o.extra, err = keep.Unmarshal(b, (*plain)(o))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (o overrides) MarshalJSON() ([]byte, error) { return keep.Marshal(plain(o), o.extra) }

func overridePath() (string, error) {
	base, err := root()
	return filepath.Join(base, "override.json"), err
}

// brought is what the environment or override.json says about a runtime. What is
// named there and unusable is an error, never silently replaced by our own.
func brought(spec Spec) (Runtime, bool, error) {
	if path := os.Getenv(spec.override); path != "" {
		r := Runtime{Name: spec.Name, Brought: spec.override}
		if spec.library() {
			r.Library = path
		} else {
			r.Python = path
		}
		return r, true, explainBrought(spec, r)
	}
	all, err := readOverrides()
	if err != nil {
		return Runtime{}, false, err
	}
	r, ok := all.Runtimes[spec.Name]
	if !ok {
		return Runtime{}, false, nil
	}
	if _, whole := installed(spec, r.Dir); r.Dir != "" && !whole {
		return r, true, fault.New(fault.Missing, "using", r.Dir, "its installation is not whole",
			"repeat `trtforge setup "+spec.Name+" --index-url ...`, or forget it with --forget")
	}
	return r, true, explainBrought(spec, r)
}

func explainBrought(spec Spec, r Runtime) error {
	fix := "correct or unset it"
	if r.Brought != spec.override {
		fix = "name another, or forget it with `trtforge setup " + spec.Name + " --forget`"
	}
	return fault.Wrap(fault.Missing, "using", r.Brought, usable(spec, r), fix)
}

func readOverrides() (overrides, error) {
	path, err := overridePath()
	if err != nil {
		return overrides{}, err
	}
	all := overrides{Kind: "overrides", SchemaVersion: 1, CreatedBy: "trtforge", Runtimes: map[string]Runtime{}}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return overrides{}, fsx.Explain("reading", path, err)
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return overrides{}, fault.Wrap(fault.Input, "reading", path, err, "delete it and name your own runtimes again")
	}
	if all.Kind != "overrides" {
		return overrides{}, fault.New(fault.Input, "reading", path, fmt.Sprintf("its kind is %q, not overrides", all.Kind), "delete it and name your own runtimes again")
	}
	if all.SchemaVersion > 1 {
		return overrides{}, fault.New(fault.Input, "reading", path, "a newer trtforge wrote it", "use that trtforge, or delete it")
	}
	if all.Runtimes == nil {
		all.Runtimes = map[string]Runtime{}
	}
	return all, nil
}

// editOverrides changes override.json under its own lock.
func editOverrides(edit func(map[string]Runtime)) error {
	path, err := overridePath()
	if err != nil {
		return err
	}
	unlock, err := acquireNow(path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	all, err := readOverrides()
	if err != nil {
		return err
	}
	edit(all.Runtimes)
	return fsx.WriteJSON(path, all)
}

// Forget drops what the user recorded for a runtime; its own build is used again.
func Forget(name string) error {
	if _, err := Lookup(name); err != nil {
		return err
	}
	return editOverrides(func(m map[string]Runtime) {
		delete(m, name)
		if name == "trt" {
			delete(m, tensorRT)
		}
	})
}
