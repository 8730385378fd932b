package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/fsx"
	"github.com/trtforge/trtforge/internal/junit"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/runtimes"
	"github.com/trtforge/trtforge/internal/trial"
	"github.com/trtforge/trtforge/pipeline"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// validated is what validate prints.
type validated struct {
	Source    string            `json:"source"`            // of the reference
	Windows   int               `json:"windows,omitempty"` // that were scored; absent: all of the reference's
	Reference validate.Header   `json:"reference"`
	Engines   []validatedEngine `json:"engines"`
	Rows      []json.RawMessage `json:"rows"` // as in rows.jsonl
	Flaws     []engineFlaw      `json:"flaws,omitempty"`
	Tensors   []engineTensors   `json:"tensors,omitempty"`
	Verdicts  []gate.Verdict    `json:"verdicts"`

	rows      []rows.Row
	createdBy string
	runnables []*pipeline.Runnable   // Engines
	limits    map[string]gate.Limits // that the verdicts are about
}

type validatedEngine struct {
	Name       string `json:"name"`
	Backend    string `json:"backend"`
	Precision  string `json:"precision"`
	Idle       string `json:"not_run,omitempty"`              // why it was not run here
	Calibrated string `json:"calibrated_on_sha256,omitempty"` // token ids that its ranges come from
}

type engineFlaw struct {
	Engine string `json:"engine"`
	validate.Flaw
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
	accuracy := map[string]gate.Limits{}
	for precision, all := range limits {
		accuracy[precision] = gate.Limits{}
		for name, l := range all {
			if validates(name) { // a pipeline's file has limits of speed and size, too
				accuracy[precision][name] = l
			}
		}
	}
	v.Verdicts, v.limits = gate.Evaluate(judged, accuracy, v.rows), accuracy
	for _, e := range v.Engines {
		for _, f := range validate.Flaws(v.rows, e.Name) {
			v.Flaws = append(v.Flaws, engineFlaw{e.Name, f})
			v.Verdicts = append(v.Verdicts, gate.Verdict{Engine: e.Name, Precision: e.Precision, Gate: f.Name, Phase: f.Phase, Status: gate.Fail,
				Limit: f.Limit, Value: f.Value, Lo: f.Value, Hi: f.Value, Evidence: f.Says})
		}
	}
}

// validates tells whether a limit is one of those that validation measures.
func validates(name string) bool {
	for _, prefix := range []string{"ppl_", "kl_", "top1_", "top5_", "logit_", "greedy_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// write leaves the files that were asked for.
func (v *validated) write(o ValidateOptions, g *globals) error {
	var errs []error
	if o.Out != "" {
		errs = append(errs, v.results(o.Out, o.Threads))
	}
	if o.JUnit != "" {
		errs = append(errs, fsx.WriteFile(o.JUnit, func(w io.Writer) error { return junit.Write(w, gate.JUnit("validate", v.Verdicts)) }))
	}
	if o.GitHub {
		errs = append(errs, v.github(g.Err))
	}
	return errors.Join(errs...)
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
	r := pipeline.Results{
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

// github writes annotations, and the table to the summary of the step that runs
// this.
func (v *validated) github(w io.Writer) error {
	if err := gate.Annotate(w, "", v.Verdicts); err != nil {
		return err
	}
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fsx.Explain("writing the step's summary", path, err)
	}
	_, _ = io.WriteString(f, "```\n")
	err = v.text(f)
	_, _ = io.WriteString(f, "```\n")
	return errors.Join(err, f.Close())
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

// Err is an error of class gate where a verdict is a failure.
func (v *validated) Err() error { return gate.Err(v.Verdicts) }

// err is Err, shown already where the result was JSON.
func (v *validated) err(g *globals) error {
	if err := v.Err(); err != nil && g.JSON {
		return printed{err}
	}
	return v.Err()
}

// text prints the result for people.
func (v *validated) text(w io.Writer) error {
	b := v.Reference
	windows := fmt.Sprintf("%d windows", b.Windows)
	if v.Windows > 0 {
		windows = fmt.Sprintf("the first %d of %d windows", v.Windows, b.Windows)
	}
	_, _ = fmt.Fprintf(w, "reference   PyTorch FP32, perplexity %.4f (%s)\nconvention  %s, %s, text sha256 %.12s\n\n", b.Perplexity, v.Source, b.Convention, windows, b.Digests.IDs)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "engine\tpath\tperplexity\tratio\t95 % interval\tKL nats\tp99\tmax\ttop-1\ttop-5\tΔp %\tlogits\tgreedy\tbatch\tpadding\t")
	for _, e := range v.Engines {
		if e.Idle != "" {
			_, _ = fmt.Fprintf(t, "%s\t%s\t\n", e.Name, "-")
			continue
		}
		for _, phase := range []string{"prefill", "decode"} {
			v.line(t, e.Name, phase)
		}
	}
	for _, name := range []string{pipeline.NoiseBF16, pipeline.NoiseORT} {
		for _, phase := range []string{"prefill", "decode"} {
			if _, ok := rows.Find(v.rows, name, "", phase, validate.PPLRatio); ok {
				v.line(t, name, phase)
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return v.remarks(w)
}

// line is one engine on one path.
func (v *validated) line(w io.Writer, name, phase string) {
	cell := func(names []string, form string, factor float64) string {
		for _, n := range names {
			if r, ok := rows.Find(v.rows, name, "", phase, n); ok {
				return fmt.Sprintf(form, r.Value*factor)
			}
		}
		return "-"
	}
	one := func(n, form string) string { return cell([]string{n}, form, 1) }
	k := v.Reference.TopK
	kl := func(stat string) string {
		return cell([]string{validate.KLName(0, stat), validate.KLName(k, stat)}, "%.2e", 1)
	}
	interval := "-"
	if r, ok := rows.Find(v.rows, name, "", phase, validate.PPLRatio); ok && !math.IsInf(r.Lo, 0) {
		interval = fmt.Sprintf("%.5f-%.5f", r.Lo, r.Hi)
	}
	_, _ = fmt.Fprintln(w, strings.Join([]string{
		name, phase, one(validate.Perplexity, "%.4f"), one(validate.PPLRatio, "%.5f"), interval, kl("mean"), kl("p99"), kl("max"),
		one(validate.Top1Agreement, "%.4f"), one(validate.Top5Agreement, "%.4f"), cell([]string{validate.DProbMean}, "%+.4f", 100),
		one(validate.LogitMax, "%.2e"), one(validate.GreedyMatch, "%.4g"), one(validate.BatchDelta, "%.1e"), one(validate.PaddingDelta, "%.1e"),
	}, "\t")+"\t")
}

// remarks are what the table cannot hold: who was not run, what is broken, tensors,
// and what failed.
func (v *validated) remarks(w io.Writer) error {
	for _, e := range v.Engines {
		if e.Idle != "" {
			_, _ = fmt.Fprintf(w, "\n%s was not run: %s\n", e.Name, e.Idle)
		}
		if e.Calibrated != "" {
			_, _ = fmt.Fprintf(w, "\n%s's ranges come from token ids of sha256 %.12s, another text\n", e.Name, e.Calibrated)
		}
	}
	for _, t := range v.Tensors {
		_, _ = fmt.Fprintf(w, "\n%s, tensors against FP32, the most suspicious first:\n", t.Engine)
		for _, e := range t.Ranked[:min(5, len(t.Ranked))] {
			mark := " "
			if e.Suspicion >= validate.Suspect {
				mark = "!"
			}
			_, _ = fmt.Fprintf(w, "%s %5.1f dB  error %.4f  %s %s  %s\n", mark, e.Suspicion, e.Error, e.Tensor, e.Weight, e.Says)
		}
	}
	for i, f := range v.Flaws {
		if i == 0 {
			_, _ = fmt.Fprintln(w)
		}
		_, _ = fmt.Fprintf(w, "BROKEN  %s, %s: %s\n", f.Engine, f.Phase, f.Says)
	}
	count := map[gate.Status]int{}
	for _, one := range v.Verdicts {
		count[one.Status]++
	}
	_, err := fmt.Fprintf(w, "\ngates: %d passed, %d failed, %d not evaluated\n", count[gate.Pass], count[gate.Fail], count[gate.NotEvaluated])
	return err
}
