package keep

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/trtforge/trtforge/internal/fault"
)

// File is a JSON file of this program as it is read: where it is, what it must be
// and what to do when it is not.
type File struct {
	Doing   string // a gerund for errors: "reading the decision list"
	Path    string // names it in errors
	Kind    string // its field "kind"
	Version int    // the newest that this program reads
	Max     int64  // bytes of an untrusted file
	Fix     string // what to do about a damaged one: "calibrate again"
	Again   string // what else than use its writer to do about a newer one; Fix where empty
}

// Bad is an error of class input about the file; nil for nil.
func (f File) Bad(err error) error { return fault.Wrap(fault.Input, f.Doing, f.Path, err, f.Fix) }

// Read reads the file as far as its head: its bytes are within the bound, JSON, and
// of this kind and a version that is known. Nothing else is allocated for a file of
// another kind.
func (f File) Read(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, f.Max+1))
	if errors.Is(err, syscall.EISDIR) {
		return nil, fault.New(fault.Input, f.Doing, f.Path, "it is a directory", "name the file itself")
	}
	if err != nil {
		return nil, f.Bad(err)
	}
	if int64(len(b)) > f.Max {
		return nil, f.Bad(fmt.Errorf("it is larger than %d bytes", f.Max))
	}
	var head struct {
		Kind    string `json:"kind"`
		Version int    `json:"schema_version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, f.Bad(Explain(err))
	}
	if head.Kind != f.Kind {
		return nil, f.Bad(fmt.Errorf("its kind is %q, not %q", head.Kind, f.Kind))
	}
	if head.Version < 1 || head.Version > f.Version {
		again := f.Again
		if again == "" {
			again = f.Fix
		}
		return nil, fault.New(fault.Input, f.Doing, f.Path,
			fmt.Sprintf("its version is %d, this program reads up to %d", head.Version, f.Version), "use the trtforge that wrote it, or "+again)
	}
	return b, nil
}
