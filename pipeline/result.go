package pipeline

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/trtforge/trtforge/bench"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/profiles"
	"github.com/trtforge/trtforge/report"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// Result is summary.json: what a run came to. Everything outside Measured is the
// same each time that the same inputs are run on the same machine.
type Result struct {
	Kind          string         `json:"kind"` // "summary"
	SchemaVersion int            `json:"schema_version"`
	CreatedBy     string         `json:"created_by"`
	Name          string         `json:"name"`
	Model         string         `json:"model"` // key of the export
	Plan          PlanSummary    `json:"plan"`
	Reference     float64        `json:"reference_perplexity"`
	Engines       []EngineResult `json:"engines"`
	Verdicts      []gate.Verdict `json:"verdicts"` // of accuracy and size
	Measured      Measured       `json:"measured"`

	Dir   string `json:"-"`
	Steps []Step `json:"-"`
}

// PlanSummary is the proof in figures.
type PlanSummary struct {
	Strategy string `json:"strategy"`
	Profiles int    `json:"profiles"`
	Shapes   int    `json:"shapes"` // distinct shapes of the demand, every one of them covered

	Capacity int64 `json:"capacity,omitempty"`          // columns of a static cache, which every step attends over
	Buffers  int64 `json:"cache_bytes_a_row,omitempty"` // of its keys and values in float32, whatever is in them
}

// EngineResult is an engine and what it loses.
type EngineResult struct {
	Name      string              `json:"name"`
	Backend   string              `json:"backend"`
	Precision engine.Precision    `json:"precision"`
	Achieved  engine.Precision    `json:"achieved"`
	Profiles  int                 `json:"profiles,omitempty"`
	Idle      string              `json:"not_run,omitempty"`  // why it was not run here
	Accuracy  map[string]Accuracy `json:"accuracy,omitempty"` // by path: prefill, decode
}

// Accuracy is what validation measured on one path.
type Accuracy struct {
	Perplexity float64 `json:"perplexity"`
	Ratio      float64 `json:"ppl_ratio"`    // over the reference's
	KL         float64 `json:"kl_mean_nats"` // lower bound from the bundle's K tokens
	Top1       float64 `json:"top1_agreement"`
}

// accuracyFile is Accuracy in JSON: what overflowed is a string there.
type accuracyFile struct {
	Perplexity rows.Number `json:"perplexity"`
	Ratio      rows.Number `json:"ppl_ratio"`
	KL         rows.Number `json:"kl_mean_nats"`
	Top1       rows.Number `json:"top1_agreement"`
}

// MarshalJSON writes NaN and the infinities, which an engine that is wrong can
// have, as strings.
func (a Accuracy) MarshalJSON() ([]byte, error) {
	return json.Marshal(accuracyFile{rows.Number(a.Perplexity), rows.Number(a.Ratio), rows.Number(a.KL), rows.Number(a.Top1)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Accuracy) UnmarshalJSON(b []byte) error {
	var f accuracyFile
	err := json.Unmarshal(b, &f)
	*a = Accuracy{float64(f.Perplexity), float64(f.Ratio), float64(f.KL), float64(f.Top1)}
	return err
}

// Measured is what two runs need not share.
type Measured struct {
	Engines  map[string]Timing `json:"engines"`
	Verdicts []gate.Verdict    `json:"verdicts"` // of speed
	Choices  []gate.Choice     `json:"recommendation,omitempty"`
}

// Timing is an engine's build and speed. Times of requests are the mean over the
// scenarios, by their weight, of each scenario's median.
type Timing struct {
	BuildMS float64 `json:"build_ms"`
	Bytes   int64   `json:"bytes"`
	Digest  string  `json:"file_sha256"`
	TTFT    float64 `json:"ttft_ms,omitempty"`
	TPOT    float64 `json:"tpot_ms,omitempty"`
}

func summarisePlan(p *profiles.Plan, c *contract.Contract) PlanSummary {
	return PlanSummary{
		Strategy: p.Strategy, Profiles: len(p.Profiles), Shapes: profiles.Count(p.Demand),
		Capacity: c.Capacity(), Buffers: c.BufferBytes(1),
	}
}

// fill takes the figures of the summary out of the report's data.
func (r *Result) fill(d report.Data, scenarios []profiles.Scenario) {
	r.Measured.Engines = map[string]Timing{}
	for _, e := range d.Engines {
		m := e.Manifest
		out := EngineResult{Name: e.Name, Backend: m.Backend, Precision: m.Precision, Achieved: m.Achieved, Profiles: len(m.Profiles), Idle: e.Idle}
		for _, phase := range []string{bench.Prefill, bench.Decode} {
			a, ok := accuracy(d.Rows, e.Name, phase)
			if !ok {
				continue
			}
			if out.Accuracy == nil {
				out.Accuracy = map[string]Accuracy{}
			}
			out.Accuracy[phase] = a
		}
		r.Engines = append(r.Engines, out)
		r.Measured.Engines[e.Name] = Timing{
			BuildMS: m.Measured.BuildMS, Bytes: m.Bytes, Digest: m.FileDigest,
			TTFT: weighted(d.Rows, e.Name, scenarios, bench.Prefill, bench.TTFT),
			TPOT: weighted(d.Rows, e.Name, scenarios, bench.Decode, bench.TPOT),
		}
	}
	r.Measured.Choices = d.Choices
	for _, v := range d.Verdicts {
		if gate.IsSpeed(v.Gate) {
			r.Measured.Verdicts = append(r.Measured.Verdicts, v)
		} else {
			r.Verdicts = append(r.Verdicts, v)
		}
	}
}

// accuracy is an engine's rows of one path.
func accuracy(all []rows.Row, name, phase string) (a Accuracy, ok bool) {
	for _, r := range all {
		if r.Engine != name || r.Phase != phase {
			continue
		}
		switch {
		case r.Name == validate.Perplexity:
			a.Perplexity, ok = r.Value, true
		case r.Name == validate.PPLRatio:
			a.Ratio = r.Value
		case r.Name == validate.Top1Agreement:
			a.Top1 = r.Value
		case strings.HasPrefix(r.Name, "kl_") && strings.HasSuffix(r.Name, "_mean"):
			a.KL = r.Value
		}
	}
	return a, ok
}

// weighted is the mean over scenarios of a figure; 0 where none has it.
func weighted(all []rows.Row, name string, scenarios []profiles.Scenario, phase, figure string) float64 {
	sum, weight := 0.0, 0.0
	for _, s := range scenarios {
		if r, ok := rows.Find(all, name, s.Name, phase, figure); ok && !math.IsNaN(r.Value) {
			sum += s.Weight * r.Value
			weight += s.Weight
		}
	}
	if weight == 0 {
		return 0
	}
	return sum / weight
}

// Write prints the summary table.
func (r *Result) Write(w io.Writer) error {
	_, _ = fmt.Fprintf(w, "\n%d shapes of prefill and decode, all inside %d profiles (%s); PyTorch FP32 perplexity %.3f\n\n",
		r.Plan.Shapes, r.Plan.Profiles, r.Plan.Strategy, r.Reference)
	if r.Plan.Capacity > 0 {
		_, _ = fmt.Fprintf(w, "static cache of %d columns: %.1f MB a row in FP32 from the first token, and every step attends over all of it\n\n",
			r.Plan.Capacity, float64(r.Plan.Buffers)/1e6)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "engine\tMB\tperplexity\tdecode\tratio\tKL nats\tTTFT ms\tTPOT ms\tverdict\t")
	for _, e := range r.Engines {
		m := r.Measured.Engines[e.Name]
		size := "-" // it was not built here
		if m.Bytes > 0 {
			size = fmt.Sprintf("%.1f", float64(m.Bytes)/1e6)
		}
		if e.Accuracy == nil {
			_, _ = fmt.Fprintf(t, "%s\t%s\t-\t-\t-\t-\t-\t-\t%s\t\n", e.Name, size, r.verdict(e.Name))
			continue
		}
		p, d := e.Accuracy[bench.Prefill], e.Accuracy[bench.Decode]
		_, _ = fmt.Fprintf(t, "%s\t%s\t%.3f\t%.3f\t%.5f\t%s\t%.2f\t%.3f\t%s\t\n",
			e.Name, size, p.Perplexity, d.Perplexity, max(p.Ratio, d.Ratio), tiny(max(p.KL, d.KL)), m.TTFT, m.TPOT, r.verdict(e.Name))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	r.recommend(w)
	_, err := fmt.Fprintf(w, "\nreport: %s/report.html\n", r.Dir)
	return err
}

// recommend prints what to deploy: a line a backend, and one for each scenario in
// which that is another engine.
func (r *Result) recommend(w io.Writer) {
	overall := map[string]string{}
	for _, c := range r.Measured.Choices {
		family := c.Backend + "\x00" + c.Group
		engine, known := overall[family]
		if !known {
			_, _ = fmt.Fprintf(w, "\ndeploy on %s\n", c)
			overall[family] = c.Engine
		} else if c.Engine != engine {
			_, _ = fmt.Fprintf(w, "  but on %s\n", c)
		}
	}
}

// All are the verdicts of accuracy and of speed.
func (r *Result) All() []gate.Verdict {
	return append(append([]gate.Verdict{}, r.Verdicts...), r.Measured.Verdicts...)
}

// verdict is an engine's verdicts in a word: one failure fails it, and it passes
// only where every gate was evaluated.
func (r *Result) verdict(name string) string {
	count := map[gate.Status]int{}
	for _, v := range r.All() {
		if v.Engine == name {
			count[v.Status]++
		}
	}
	pass, open := count[gate.Pass], count[gate.NotEvaluated]
	switch {
	case count[gate.Fail] > 0:
		return "FAIL"
	case pass > 0 && open > 0:
		return fmt.Sprintf("pass (%d of %d)", pass, pass+open)
	case pass > 0:
		return "pass"
	case open > 0:
		return "not evaluated"
	}
	return "no gate"
}

// Err is an error of class gate where a gate failed.
func (r *Result) Err() error { return gate.Err(r.All()) }

// tiny is a divergence for people: what lies below the accuracy of float32
// log-probabilities may come out negative and means nothing.
func tiny(kl float64) string {
	if kl < 1e-9 {
		return "<1e-9"
	}
	return fmt.Sprintf("%.2e", kl)
}
