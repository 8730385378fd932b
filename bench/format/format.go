// Package format writes what a benchmark measured in the forms that other tools
// read: JSON, CSV and Markdown of rows, the Go benchmark format of samples
// (benchstat), and the field names of AIPerf and llama-bench.
//
//	err := format.Write(os.Stdout, "benchfmt", run)
//
// Our own names and units are those of package bench; each other form says in its
// file what its names mean here. A failed request is counted where a form has a place
// for that, and enters no figure.
//
// It reads none of them and computes no interval (bench, stats).
package format

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/rows"
)

// Run is what there is to write.
type Run struct {
	Samples   []bench.Sample
	Rows      []rows.Row
	Machine   bench.Machine
	Engines   []Engine
	Warnings  []string
	CreatedBy string
	Created   time.Time
}

// Engine is what was measured.
type Engine struct {
	Name      string `json:"name"`
	Backend   string `json:"backend"`
	Precision string `json:"precision"`
	Bytes     int64  `json:"bytes,omitempty"`
	File      string `json:"file,omitempty"`
}

// engine is the engine of that name.
func (r Run) engine(name string) Engine {
	if i := slices.IndexFunc(r.Engines, func(e Engine) bool { return e.Name == name }); i >= 0 {
		return r.Engines[i]
	}
	return Engine{Name: name}
}

// Names are the forms, by which Write calls them.
var Names = []string{"json", "csv", "markdown", "benchfmt", "aiperf", "llama-bench"}

// Write writes a run in a form; one that is not among Names is an error.
func Write(w io.Writer, name string, r Run) error {
	writers := map[string]func(io.Writer, Run) error{
		"json": JSON, "csv": CSV, "markdown": Markdown, "benchfmt": Benchfmt, "aiperf": AIPerf, "llama-bench": LlamaBench,
	}
	write, known := writers[name]
	if !known {
		return fmt.Errorf("no format is called %q, want one of %s", name, strings.Join(Names, ", "))
	}
	return write(w, r)
}

// document is a run as JSON.
type document struct {
	Kind          string         `json:"kind"` // "bench_result"
	SchemaVersion int            `json:"schema_version"`
	CreatedBy     string         `json:"created_by"`
	Machine       *bench.Machine `json:"machine"`
	Engines       []Engine       `json:"engines"`
	Rows          []row          `json:"rows"`
	Warnings      []string       `json:"warnings,omitempty"`
}

// row is a row without the words that stand once above; its numbers may be no JSON.
type row struct {
	Engine   string      `json:"engine"`
	Scenario string      `json:"scenario,omitempty"`
	Phase    string      `json:"phase,omitempty"`
	Name     string      `json:"name"`
	Unit     string      `json:"unit"`
	Value    rows.Number `json:"value"`
	Lo       rows.Number `json:"lo"`
	Hi       rows.Number `json:"hi"`
	N        int         `json:"n"`
	Warnings []string    `json:"warnings,omitempty"`
}

// Document is what JSON writes, for whoever encodes it himself.
func Document(r Run) any {
	d := document{Kind: "bench_result", SchemaVersion: 1, CreatedBy: r.CreatedBy, Machine: &r.Machine, Engines: r.Engines, Warnings: r.Warnings}
	for _, x := range r.Rows {
		d.Rows = append(d.Rows, row{x.Engine, x.Scenario, x.Phase, x.Name, x.Unit, rows.Number(x.Value), rows.Number(x.Lo), rows.Number(x.Hi), x.N, x.Warnings})
	}
	return d
}

// JSON writes the rows with the machine as one object.
func JSON(w io.Writer, r Run) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(Document(r))
}

// CSV writes one line a row.
func CSV(w io.Writer, r Run) error {
	c := csv.NewWriter(w)
	lines := [][]string{{"engine", "scenario", "batch", "prompt", "new", "phase", "name", "unit", "value", "lo", "hi", "n", "warnings"}}
	asked := r.asked()
	for _, x := range r.Rows {
		of := asked[x.Scenario]
		lines = append(lines, []string{x.Engine, x.Scenario, of[0], of[1], of[2], x.Phase, x.Name, x.Unit, number(x.Value), number(x.Lo), number(x.Hi),
			strconv.Itoa(x.N), strings.Join(x.Warnings, "; ")})
	}
	return c.WriteAll(lines)
}

// asked is the batch, the prompt tokens and the new tokens of each scenario; what its
// requests do not have in common, as those of a trace, is empty.
func (r Run) asked() map[string][3]string {
	all := map[string][3]string{}
	for _, s := range r.Samples {
		own := [3]string{strconv.Itoa(s.Batch), strconv.Itoa(s.PromptTokens), strconv.Itoa(s.NewTokens)}
		was, known := all[s.Scenario]
		for i := range own {
			if known && own[i] != was[i] {
				own[i] = ""
			}
		}
		all[s.Scenario] = own
	}
	return all
}

// number is empty where nothing is known: what reads CSV seldom reads -Inf.
func number(v float64) string {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
