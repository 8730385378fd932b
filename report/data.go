package report

import (
	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/keep"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
	"github.com/trtforge/trtforge/rows"
)

// Data is everything that a report shows. Every field may be empty. Its JSON is
// report.json, which holds all but the rows.
type Data struct {
	Kind          string `json:"kind"` // "report"
	SchemaVersion int    `json:"schema_version"`
	CreatedBy     string `json:"created_by"` // name and version of the program

	Title     string                 `json:"title"`              // the pipeline's name
	Created   string                 `json:"created,omitempty"`  // when, as it should be read
	FirstLine string                 `json:"headline,omitempty"` // the writer's own first line, in the place of one about gates
	Runs      []Run                  `json:"runs"`               // where the figures come from, one for each results directory
	Contract  *contract.Contract     `json:"contract,omitempty"`
	Scenarios []profiles.Scenario    `json:"scenarios,omitempty"` // in the order of the workload
	Plan      *profiles.Plan         `json:"plan,omitempty"`
	Engines   []Engine               `json:"engines"` // in the order of the pipeline
	Limits    map[string]gate.Limits `json:"gates,omitempty"`
	Verdicts  []gate.Verdict         `json:"verdicts"`
	Choices   []gate.Choice          `json:"recommendation"`
	Matrix    gate.Matrix            `json:"matrix"`

	Calibration *Calibrated `json:"calibration,omitempty"`
	Quantized   []Quantized `json:"quantized,omitempty"`
	Asides      []Aside     `json:"asides,omitempty"`   // parts of the writer's own, behind what to deploy
	Warnings    []string    `json:"warnings,omitempty"` // doubts about the whole

	Rows []rows.Row `json:"-"`

	extra  keep.Fields // of writers that know more
	prefix string      // of the ids of pictures, where the page has several of a kind
}

// Run is one command that gave figures.
type Run struct {
	Name     string            `json:"name,omitempty"`    // tells it from others; empty where it is alone
	Command  string            `json:"command,omitempty"` // what makes its figures again
	Created  string            `json:"created,omitempty"`
	Author   string            `json:"author,omitempty"` // name and version of the program that ran
	Model    Model             `json:"model"`
	Machine  *bench.Machine    `json:"machine,omitempty"`  // nil where nobody wrote it down
	Versions []Fact            `json:"versions,omitempty"` // runtimes and libraries
	Inputs   []Fact            `json:"inputs,omitempty"`   // texts, seeds, conventions, digests
	Files    map[string]string `json:"files,omitempty"`    // sha256 of the files that hold its figures, by name
}

// Model is what was compiled.
type Model struct {
	Name       string `json:"name,omitempty"`
	Digest     string `json:"digest,omitempty"` // of the exported graph and its weights
	Parameters int64  `json:"parameters,omitempty"`
	Bytes      int64  `json:"bytes,omitempty"` // of the weights as exported
	Hidden     int    `json:"hidden,omitempty"`
	Positions  int    `json:"positions,omitempty"`
}

// Engine is one engine that was built or measured.
type Engine struct {
	Name     string          `json:"name"`
	Manifest engine.Manifest `json:"manifest"`
	Run      int             `json:"run"`               // index of its run
	Model    *Model          `json:"model,omitempty"`   // where it is another than its run's
	Cached   bool            `json:"cached,omitempty"`  // taken from the store, not built in this run
	Idle     string          `json:"not_run,omitempty"` // why it was not run here; empty where it was
}

// Calibrated is how ranges came about.
type Calibrated struct {
	Table    *calib.Table    `json:"table"`
	Curve    *calib.Curve    `json:"curve,omitempty"`
	Near     float64         `json:"near_percent,omitempty"` // how near counts as settled
	Outliers []calib.Outlier `json:"outliers,omitempty"`
}

// Quantized is what became of an engine's matrix products.
type Quantized struct {
	Engine    string           `json:"engine"`
	Decisions *quant.Decisions `json:"decisions"`
	Search    *search.Result   `json:"search,omitempty"` // nil where nothing was searched
}

// Fact is a name and a value, shown as they are.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// run is the run of an engine; an empty one where the data lack it.
func (d *Data) run(e Engine) Run {
	if e.Run < 0 || e.Run >= len(d.Runs) {
		return Run{}
	}
	return d.Runs[e.Run]
}

// model is what an engine was made of.
func (d *Data) model(e Engine) Model {
	if e.Model != nil {
		return *e.Model
	}
	return d.run(e).Model
}
