package report

import (
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/rows"
)

// Data is everything that a report shows. Every field may be empty.
type Data struct {
	Title     string // the pipeline's name
	CreatedBy string // name and version of the program
	Created   string // when, as it should be read
	Command   string // what makes the report again
	Model     Model
	Contract  *contract.Contract
	Scenarios []profiles.Scenario // in the order of the workload
	Plan      *profiles.Plan
	Engines   []Engine // in the order of the pipeline
	Rows      []rows.Row
	Verdicts  []gate.Verdict
	Versions  []Fact   // runtimes and libraries
	Machine   []Fact   // processor, memory, threads, load
	Inputs    []Fact   // texts, seeds, conventions, digests
	Warnings  []string // doubts about the whole run
}

// Model is what was compiled.
type Model struct {
	Name       string
	Digest     string // of the exported graph and its weights
	Parameters int64
	Bytes      int64 // of the weights as exported
	Hidden     int
	Positions  int
}

// Engine is one engine of the pipeline.
type Engine struct {
	Name     string
	Manifest engine.Manifest
	Cached   bool   // taken from the store, not built in this run
	Idle     string // why it was not run here; empty where it was
}

// Fact is a name and a value, shown as they are.
type Fact struct{ Name, Value string }
