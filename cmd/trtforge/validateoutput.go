package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/task"
	"github.com/trtforge/trtforge/validate"
)

// validated is what validate prints.
type validated struct {
	Source    string            `json:"source"`            // of the reference
	Windows   int               `json:"windows,omitempty"` // that were scored; absent: all of the reference's
	Reference validate.Header   `json:"reference"`
	Engines   []validatedEngine `json:"engines"`
	Rows      []json.RawMessage `json:"rows"` // as in rows.jsonl
	Tensors   []engineTensors   `json:"tensors,omitempty"`
	Verdicts  []gate.Verdict    `json:"verdicts"`

	rows      []rows.Row
	createdBy string
	runnables []*task.Runnable       // Engines
	limits    map[string]gate.Limits // that the verdicts are about
}

type validatedEngine struct {
	Name       string `json:"name"`
	Backend    string `json:"backend"`
	Precision  string `json:"precision"`
	Idle       string `json:"not_run,omitempty"`              // why it was not run here
	Calibrated string `json:"calibrated_on_sha256,omitempty"` // token ids that its ranges come from
}

type engineTensors struct {
	Engine string                 `json:"engine"`
	Ranked []validate.TensorError `json:"ranked"` // the most suspicious first
}

// judge holds the engines to the limits, and to what no engine may have.
func (v *validated) judge(limits map[string]gate.Limits) {
	var judged []gate.Engine
	for _, e := range v.Engines {
		judged = append(judged, gate.Engine{Name: e.Name, Backend: e.Backend, Precision: e.Precision, Idle: e.Idle})
	}
	v.limits = limits
	v.Verdicts = append(gate.Evaluate(judged, limits, v.rows), gate.Flaws(judged, v.rows)...)
}

// write leaves the files that were asked for.
func (v *validated) write(o ValidateOptions, g *globals) error {
	var err error
	if o.Out != "" {
		err = v.results(o.Out, o.Threads)
	}
	return errors.Join(err, o.Servers.tell(g, "validate", v.Verdicts, v.markdown))
}

// results writes a results directory.
func (v *validated) results(dir string, threads int) error {
	if err := fsx.MkdirAll(dir); err != nil {
		return err
	}
	if threads == 0 {
		threads = ort.Threads()
	}
	m := trial.Machine(v.createdBy, threads, map[string]string{"onnxruntime": runtimes.VersionOf("ort")})
	if err := fsx.WriteJSON(filepath.Join(dir, report.MachineFile), m); err != nil {
		return err
	}
	b := v.Reference
	r := task.Results{
		Command: commandLine(), CreatedBy: v.createdBy, Created: now(), Engines: v.runnables, Idle: map[string]string{}, Limits: v.limits, Rows: v.rows, Machine: &m,
		Inputs: []report.Fact{
			{Name: "reference", Value: "PyTorch FP32, " + v.Source}, {Name: "convention", Value: b.Convention.String()}, {Name: "scored tokens", Value: fmt.Sprint(b.Rows)},
			{Name: "evaluation text", Value: b.Digests.Text}, {Name: "tokenizer", Value: b.Digests.Tokenizer}, {Name: "checkpoint", Value: b.Digests.Model},
		},
	}
	for _, e := range v.Engines {
		r.Idle[e.Name] = e.Idle
	}
	return r.Write(dir)
}

func (v *validated) print(g *globals) error {
	if g.JSON {
		var b bytes.Buffer
		if err := rows.Write(&b, v.createdBy, v.rows); err != nil {
			return err
		}
		v.Rows = []json.RawMessage{}
		for line := range bytes.Lines(b.Bytes()) {
			v.Rows = append(v.Rows, json.RawMessage(bytes.TrimSpace(line)))
		}
	}
	g.bars.close()
	if err := v.Err(); g.JSON && err != nil { // one document: the result, and in it the error
		return g.print(struct {
			*validated
			Error problem `json:"error"`
		}{v, describe(err)}, nil)
	}
	return g.print(v, v.text)
}

// Err is an error of class gate where a verdict is a failure, and of class missing
// where this machine ran none of the engines: a build server must not take that for
// success.
func (v *validated) Err() error {
	for _, e := range v.Engines {
		if e.Idle == "" {
			return gate.Err(v.Verdicts)
		}
	}
	return fault.New(fault.Missing, "validating", v.Engines[0].Name, v.Engines[0].Idle, "validate where it runs, or its graph on this machine: an ortcpu engine, or the .onnx file")
}

// err is Err, shown already where the result was JSON.
func (v *validated) err(g *globals) error {
	if err := v.Err(); err != nil && g.JSON {
		return printed{err}
	}
	return v.Err()
}
