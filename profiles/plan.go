package profiles

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
)

// SchemaVersion is the version of the plan file that this program writes and
// the newest that it reads.
const SchemaVersion = 1

// Span is the range of one quantity in a profile.
type Span struct {
	Min int `json:"min"`
	Opt int `json:"opt"`
	Max int `json:"max"`
}

// Range is an input's shapes in a profile, one size a dimension.
type Range struct {
	Input string  `json:"input"`
	Min   []int64 `json:"min"`
	Opt   []int64 `json:"opt"`
	Max   []int64 `json:"max"`
}

// Profile is one optimization profile. Batch, Seq and Past are what its ranges
// were made from.
type Profile struct {
	Name   string  `json:"name"`
	Batch  Span    `json:"batch"`
	Seq    Span    `json:"seq"`
	Past   Span    `json:"past"`
	Inputs []Range `json:"inputs"` // every input of the graph, in its order
}

// Reach is which profiles a runtime can really run.
type Reach string

// The reaches. ONNX Runtime's TensorRT EP stays on the first profile of a
// session; TensorRT and TensorRT-RTX switch.
const (
	Any   Reach = "any"
	First Reach = "first"
)

// Plan is an ordered set of profiles and the proof of what each covers.
type Plan struct {
	Kind          string    `json:"kind"` // "plan"
	SchemaVersion int       `json:"schema_version"`
	CreatedBy     string    `json:"created_by"`
	Strategy      string    `json:"strategy"` // wide or phase; auto has become one of them
	Reach         Reach     `json:"reach"`
	Profiles      []Profile `json:"profiles"`
	Demand        []Shape   `json:"demand"`
	Coverage      []int     `json:"coverage"` // for each shape of Demand the profile that serves it
}

// Save writes the plan to path.
func (p *Plan) Save(path string) error { return fsx.WriteJSON(path, p) }

// maxFile bounds a plan file: a million shapes.
const maxFile = 256 << 20

// Load reads a plan file. What is not a plan, or of a newer version, is an error
// of class input.
func Load(path string) (*Plan, error) {
	bad := func(cause string) error {
		return fault.New(fault.Input, "reading plan", path, cause, "derive the plan again")
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxFile {
		return nil, bad(fmt.Sprintf("%d bytes are too many", info.Size()))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fsx.Explain("reading plan", path, err)
	}
	p := &Plan{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, bad(err.Error())
	}
	if p.Kind != "plan" || p.SchemaVersion < 1 || p.SchemaVersion > SchemaVersion {
		return nil, bad(fmt.Sprintf("kind %q of version %d; this program reads plans up to version %d", p.Kind, p.SchemaVersion, SchemaVersion))
	}
	for _, c := range p.Coverage {
		if c < 0 || c >= len(p.Profiles) || len(p.Coverage) != len(p.Demand) {
			return nil, bad("its coverage names profiles or shapes that it does not have")
		}
	}
	return p, nil
}
