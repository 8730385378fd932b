package profiles

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/keep"
)

// SchemaVersion is the version of the plan file that this program writes and
// the newest that it reads.
//
// Version 2 has blocks of shapes (run, batches) in its demand, which a reader of
// version 1 would take for single shapes.
const SchemaVersion = 2

// Span is the range of one quantity in a profile.
type Span struct {
	Min int `json:"min"`
	Opt int `json:"opt"`
	Max int `json:"max"`
}

// Range is an input's shapes in a profile, one size a dimension, or, of a shape
// tensor, its values.
type Range struct {
	Input  string  `json:"input"`
	Min    []int64 `json:"min"`
	Opt    []int64 `json:"opt"`
	Max    []int64 `json:"max"`
	Values bool    `json:"values,omitempty"` // the input's contents, not its shape
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

// Plan is an ordered set of profiles and the proof of what each covers.
type Plan struct {
	Kind          string    `json:"kind"` // "plan"
	SchemaVersion int       `json:"schema_version"`
	CreatedBy     string    `json:"created_by"`
	Strategy      string    `json:"strategy"` // one of [Strategies]; auto has become another
	Reach         Reach     `json:"reach"`
	PaddedPast    bool      `json:"padded_past,omitempty"` // past begins with one masked column
	Profiles      []Profile `json:"profiles"`
	Demand        []Shape   `json:"demand"`             // divided where another profile begins to serve
	Coverage      []int     `json:"coverage"`           // for each block of Demand the profile that serves it
	Estimate      *Cost     `json:"estimate,omitempty"` // what it costs, by the model of [Costs]
	Notes         []string  `json:"notes,omitempty"`    // doubts

	extra keep.Fields // of writers that know more
}

// Save writes the plan to path.
func (p *Plan) Save(path string) error { return fsx.WriteJSON(path, p) }

// maxFile bounds a plan file: a million shapes.
const maxFile = 256 << 20

// Load reads a plan file. What is not a plan, of a newer version, or a coverage
// that is none, is an error of class input.
func Load(path string) (*Plan, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fsx.Explain("reading plan", path, err)
	}
	defer func() { _ = f.Close() }()
	return Read(f, path)
}

// Read reads a plan; path names it in errors.
func Read(r io.Reader, path string) (*Plan, error) {
	f := keep.File{Doing: "reading plan", Path: path, Kind: "plan", Version: SchemaVersion, Max: maxFile, Fix: "derive the plan again"}
	b, err := f.Read(r)
	if err != nil {
		return nil, err
	}
	p := &Plan{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, f.Bad(keep.Explain(err))
	}
	if err := p.check(); err != nil {
		return nil, f.Bad(err)
	}
	return p, nil
}

// check sees that the plan is one: a range has a size for each dimension in all
// three shapes, and each demanded shape has a profile that exists.
func (p *Plan) check() error {
	for i, profile := range p.Profiles {
		for _, r := range profile.Inputs {
			if len(r.Opt) != len(r.Min) || len(r.Max) != len(r.Min) {
				return fmt.Errorf("profile %d: %s has shapes of different ranks", i, r.Input)
			}
		}
	}
	if len(p.Coverage) != len(p.Demand) {
		return fmt.Errorf("it covers %d shapes of %d", len(p.Coverage), len(p.Demand))
	}
	for _, s := range p.Demand {
		if s.Run < 0 || s.Batches < 0 || max(s.Run, s.Batches, s.Batch, s.Seq, s.Past) > 2*maxTokens || min(s.Batch, s.Seq, s.Past) < 0 {
			return fmt.Errorf("%s is no shape", s)
		}
		if _, known := order[s.Phase]; !known {
			return fmt.Errorf("there is no phase %q", s.Phase)
		}
	}
	for i, at := range p.Coverage {
		if at < 0 || at >= len(p.Profiles) {
			return fmt.Errorf("%s is covered by profile %d of %d", p.Demand[i], at, len(p.Profiles))
		}
	}
	return nil
}

// plain is a Plan without its methods.
type plain Plan

// UnmarshalJSON keeps the fields that this program does not know.
func (p *Plan) UnmarshalJSON(b []byte) (err error) {
	p.extra, err = keep.Unmarshal(b, (*plain)(p))
	return err
}

// MarshalJSON writes the known fields in their order, then the kept ones by name.
func (p Plan) MarshalJSON() ([]byte, error) { return keep.Marshal(plain(p), p.extra) }
