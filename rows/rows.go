// Package rows holds measured facts, the one form in which benchmarks and
// validation hand their results to gates and reports.
//
// A [Row] states one figure with its unit, its interval and the number of
// samples behind it. Doubts are data: they travel in Warnings and become
// footnotes, never log lines. [Write] and [Read] keep rows as JSON Lines, one
// row a line, so that files of several jobs can be concatenated.
//
// It computes nothing (bench, validate) and judges nothing (gate).
package rows

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/keep"
)

// SchemaVersion is the version of the file form that this program writes and
// the newest that it reads.
const SchemaVersion = 1

// Row is one measured fact.
type Row struct {
	Engine   string  `json:"engine"`             // the engine's name in its pipeline, "ortcpu-int8"
	Scenario string  `json:"scenario,omitempty"` // the workload scenario; empty for facts about the whole engine
	Phase    string  `json:"phase,omitempty"`    // prefill, decode; empty where neither applies
	Name     string  `json:"name"`               // what was measured, "ttft", "ppl_ratio"
	Unit     string  `json:"unit"`               // "ms", "bytes", "nats"; "1" for a plain number
	Value    float64 `json:"value"`
	Lo       float64 `json:"lo"` // the ends of the 95 % interval; equal to Value where the figure is exact
	Hi       float64 `json:"hi"`
	N        int     `json:"n"` // samples behind the value
	// Samples are the raw measurements in the order they were taken, in Unit.
	Samples  []float64 `json:"samples,omitempty"`
	Warnings []string  `json:"warnings,omitempty"`
	// Extra are the fields that a newer writer put there; nil where there are none.
	Extra keep.Fields `json:"-"`
}

// Exact is a row whose value has no spread: a size, a count.
func Exact(engine, name, unit string, value float64) Row {
	return Row{Engine: engine, Name: name, Unit: unit, Value: value, Lo: value, Hi: value, N: 1}
}

// Find is the first row of the engine, scenario, phase and name; ok is false
// where there is none.
func Find(all []Row, engine, scenario, phase, name string) (r Row, ok bool) {
	for _, r := range all {
		if r.Engine == engine && r.Scenario == scenario && r.Phase == phase && r.Name == name {
			return r, true
		}
	}
	return Row{}, false
}

// record is a row as a line of a file. Numbers that JSON lacks are strings.
type record struct {
	Kind          string   `json:"kind"`
	SchemaVersion int      `json:"schema_version"`
	CreatedBy     string   `json:"created_by"`
	Engine        string   `json:"engine"`
	Scenario      string   `json:"scenario,omitempty"`
	Phase         string   `json:"phase,omitempty"`
	Name          string   `json:"name"`
	Unit          string   `json:"unit"`
	Value         Number   `json:"value"`
	Lo            Number   `json:"lo"`
	Hi            Number   `json:"hi"`
	N             int      `json:"n"`
	Samples       []Number `json:"samples,omitempty"`
	Warnings      []string `json:"warnings,omitempty"`
}

// Write writes one line a row.
func Write(w io.Writer, createdBy string, all []Row) error {
	for _, r := range all {
		rec := record{
			Kind: "row", SchemaVersion: SchemaVersion, CreatedBy: createdBy,
			Engine: r.Engine, Scenario: r.Scenario, Phase: r.Phase, Name: r.Name, Unit: r.Unit,
			Value: Number(r.Value), Lo: Number(r.Lo), Hi: Number(r.Hi), N: r.N, Samples: convert[Number](r.Samples), Warnings: r.Warnings,
		}
		b, err := keep.Marshal(rec, r.Extra)
		if err == nil {
			_, err = w.Write(append(b, '\n'))
		}
		if err != nil {
			return fmt.Errorf("writing row %s %s: %w", r.Engine, r.Name, err)
		}
	}
	return nil
}

// convert gives numbers another type, and nil where there are none.
func convert[To, From ~float64](from []From) []To {
	var to []To
	for _, v := range from {
		to = append(to, To(v))
	}
	return to
}

// maxLine bounds a line of an untrusted file: a row with a million samples.
const maxLine = 32 << 20

// Read reads what Write wrote. A line that is not a row, or is of a newer
// version, is an error of class input that names the line.
func Read(r io.Reader, name string) ([]Row, error) {
	var all []Row
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	for line := 1; s.Scan(); line++ {
		if len(s.Bytes()) == 0 {
			continue
		}
		at := fmt.Sprintf("%s:%d", name, line)
		var rec record
		extra, err := keep.Unmarshal(s.Bytes(), &rec)
		if err != nil {
			return nil, fault.Wrap(fault.Input, "reading rows", at, err, "make the file again")
		}
		if rec.Kind != "row" || rec.SchemaVersion < 1 || rec.SchemaVersion > SchemaVersion {
			return nil, fault.New(fault.Input, "reading rows", at,
				fmt.Sprintf("kind %q of version %d, this program reads rows up to version %d", rec.Kind, rec.SchemaVersion, SchemaVersion),
				"use the trtforge that wrote the file, or make the file again")
		}
		row := Row{
			Engine: rec.Engine, Scenario: rec.Scenario, Phase: rec.Phase, Name: rec.Name, Unit: rec.Unit,
			Value: float64(rec.Value), Lo: float64(rec.Lo), Hi: float64(rec.Hi), N: rec.N, Samples: convert[float64](rec.Samples), Warnings: rec.Warnings,
		}
		if len(extra) > 0 {
			row.Extra = extra
		}
		all = append(all, row)
	}
	if err := s.Err(); err != nil {
		return nil, fault.Wrap(fault.Input, "reading rows", name, err, "make the file again")
	}
	return all, nil
}

// Number is a float64 that writes NaN and the infinities as strings.
type Number float64

// MarshalJSON writes a number, or the name of what is none.
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return json.Marshal(fmt.Sprint(f))
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (n *Number) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		switch s {
		case "NaN":
			*n = Number(math.NaN())
		case "+Inf", "Inf":
			*n = Number(math.Inf(1))
		case "-Inf":
			*n = Number(math.Inf(-1))
		default:
			return fmt.Errorf("%q is not a number", s)
		}
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}
