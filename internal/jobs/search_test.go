//go:build cgo

package jobs

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/ort"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
)

// demo is the demo model with everything that a search needs of it.
type demo struct {
	client     *ort.Client
	model      *onnx.Model
	contract   *contract.Contract
	table      *calib.Table
	targets    []quant.Target // all but lm_head
	calibrate  []int
	evaluation []int
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	d := &demo{client: client(t)}
	dir := filepath.Join(testenv.Root(t), "examples", "demo", "model")
	tokenizer, err := bpe.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for part, to := range map[string]*[]int{"calibrate": &d.calibrate, "evaluate": &d.evaluation} {
		if *to, err = tokenizer.Encode(string(testenv.DemoText(t, part))); err != nil {
			t.Fatal(err)
		}
	}
	if d.model, err = export.GPT2(dir, export.Options{Logits: export.All}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.model.Close() })
	if d.contract, err = contract.Infer(d.model); err != nil {
		t.Fatal(err)
	}
	d.targets, err = quant.Recipe{Precision: quant.INT8, Roles: []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2}}.Targets(d.model)
	if err != nil {
		t.Fatal(err)
	}
	d.table = d.ranges(t)
	return d
}

// ranges calibrates on the first half of the calibration text; the second is
// held out for the search.
func (d *demo) ranges(t *testing.T) *calib.Table {
	t.Helper()
	all, err := quant.Recipe{Precision: quant.INT8, Roles: quant.Roles}.Targets(d.model)
	if err != nil {
		t.Fatal(err)
	}
	observe := quant.Observe(all)
	cut, err := calib.Cut(d.model, observe)
	if err != nil {
		t.Fatal(err)
	}
	half := d.calibrate[:len(d.calibrate)/2]
	plan, err := calib.NewPlan(len(half), calib.PlanOptions{Samples: 16, Prefill: []int{64}})
	if err != nil {
		t.Fatal(err)
	}
	m := d.written(t, cut)
	c, err := Calibrate(t.Context(), d.client, CalibrateRequest{Model: m, Job: calib.Job{IDs: wide(half), Plan: plan, Observe: observe}}, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	table, err := c.Table(calib.Absmax())
	if err != nil {
		t.Fatal(err)
	}
	if table.Model, err = d.model.Digest(); err != nil {
		t.Fatal(err)
	}
	return table
}

// written is a graph made of the demo's in a file, fed by the demo's contract.
func (d *demo) written(t *testing.T, m *onnx.Model) Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "graph.onnx")
	if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	return Model{Path: path, Contract: d.contract}
}

// request asks about the given products.
func (d *demo) request(t *testing.T, targets []quant.Target, windows int) SearchRequest {
	t.Helper()
	p, err := quant.Probe(d.model, d.table, targets)
	if err != nil {
		t.Fatal(err)
	}
	r := SearchRequest{Model: d.written(t, p), IDs: d.calibrate[len(d.calibrate)/2:], Length: 64, Windows: windows, Batch: 8}
	for _, target := range targets {
		plain, quantized := target.Bytes(onnx.Float32)
		r.Candidates = append(r.Candidates, search.Candidate{Node: target.Node, Float: plain, Quantized: quantized})
	}
	return r
}

// logits of the first 64 tokens of the evaluation text by a saved graph.
func (d *demo) logits(t *testing.T, m *onnx.Model, flags ...onnx.Tensor) []float32 {
	t.Helper()
	f := d.written(t, m)
	f.Optimize = ort.OptimizeNone
	ids := onnx.Ints("", []int64{1, 64}, wide(d.evaluation[:64])...)
	feeds := flags
	for _, in := range d.contract.Inputs {
		w := &onnx.Weight{Type: onnx.Float32, Data: onnx.Memory{}}
		switch in.Kind {
		case contract.KindIDs:
			w = ids
		case contract.KindMask, contract.KindPositions:
			values := make([]int64, 64)
			for i := range values {
				if values[i] = 1; in.Kind == contract.KindPositions {
					values[i] = int64(i)
				}
			}
			w = onnx.Ints("", nil, values...)
		}
		b, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		feeds = append(feeds, onnx.Tensor{Name: in.Name, Type: w.Type, Dims: d.contract.Shape(in, 1, 64, 0), Bytes: b})
	}
	v, err := runOnce(t, d.client, runRequest{Model: f, Fetch: []string{"logits"}}, feeds)[0].Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestProbeIsTheQuantizedGraph: with some flags set the probe gives the logits of
// the INT8 graph of the same products, with none those of the float graph; folded,
// with attention's products and the head, and with weights alone. Graphs run as
// they are, for an optimiser chooses other arithmetic. Where float noise carries a
// value over the edge between two levels, positions from there on differ by a
// level, so the first positions decide.
func TestProbeIsTheQuantizedGraph(t *testing.T) {
	d := newDemo(t)
	far := func(a, b []float32) []float64 { // of each position
		var all []float64
		for at := 0; at < len(a); at += d.contract.Vocab {
			most, scale := 0.0, 0.0
			for i := at; i < at+d.contract.Vocab; i++ {
				most, scale = math.Max(most, math.Abs(float64(a[i]-b[i]))), math.Max(scale, math.Abs(float64(a[i])))
			}
			all = append(all, most/scale)
		}
		return all
	}
	float := d.logits(t, d.model)
	usual := []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2}
	for name, c := range map[string]struct {
		recipe quant.Recipe
		take   func(i int) bool
	}{
		"none":         {quant.Recipe{Precision: quant.INT8, Roles: usual}, func(int) bool { return false }},
		"all":          {quant.Recipe{Precision: quant.INT8, Roles: usual}, func(int) bool { return true }},
		"not smoothed": {quant.Recipe{Precision: quant.INT8, Roles: usual, Smooth: "off"}, func(int) bool { return true }},
		"all roles":    {quant.Recipe{Precision: quant.INT8, Roles: quant.Roles}, func(int) bool { return true }},
		"weights":      {quant.Recipe{Precision: quant.W8, Roles: append(usual, quant.LMHead)}, func(i int) bool { return i%2 == 0 }},
	} {
		p, targets, err := c.recipe.Probe(d.model, d.table)
		if err != nil {
			t.Fatal(err)
		}
		flags := make([]byte, len(targets))
		r := c.recipe
		r.Choices = map[string]bool{}
		for i, target := range targets {
			if r.Choices[target.Node] = c.take(i); c.take(i) {
				flags[i] = 1
			}
		}
		out, err := quant.Apply(d.model, d.table, r)
		if err != nil {
			t.Fatal(err)
		}
		dims := []int64{int64(len(flags))}
		got := d.logits(t, p, onnx.Tensor{Name: quant.ProbeActivations, Type: onnx.Bool, Dims: dims, Bytes: flags},
			onnx.Tensor{Name: quant.ProbeWeights, Type: onnx.Bool, Dims: dims, Bytes: flags})
		same, moved := far(d.logits(t, out.Model), got), far(float, got)
		near := 0
		for _, v := range same[:8] {
			if v < 5e-6 {
				near++
			}
		}
		slices.Sort(same)
		t.Logf("%s: %d of %d; %d of the first 8 positions are equal but for float noise, half of all within %.1g of the largest logit, all %.1g, FP32 %.1g",
			name, bytes.Count(flags, []byte{1}), len(flags), near, same[len(same)/2], slices.Max(same), slices.Max(moved))
		if near < 4 {
			t.Errorf("%s: of the first 8 positions %d are those of the quantized graph", name, near)
		}
		if name != "none" && slices.Max(moved) < 2*slices.Max(same) {
			t.Errorf("%s: it is as near to FP32 as to the quantized graph: nothing was switched", name)
		}
	}
}

// TestSearchIsBruteForceOnTheDemo holds the search on ten products of the demo
// model to all 1024 subsets of them, measured one by one: under a gate that
// nothing holds it measures them all. With TRTFORGE_FULL=1 on more text.
func TestSearchIsBruteForceOnTheDemo(t *testing.T) {
	d := newDemo(t)
	r := d.request(t, d.targets[:search.Exhaustive], 3)
	r.Length = 12
	if os.Getenv("TRTFORGE_FULL") != "" {
		r.Length, r.Windows = 64, 8
	}
	r.Gate = search.Gate{KLMax: 1e-12}
	all, err := Search(t.Context(), d.client, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Points) != 1<<search.Exhaustive || all.Chosen.Chosen.Count() != 0 {
		t.Fatalf("%d points under a gate that nothing holds, chose %s", len(all.Points), all.Chosen.Chosen)
	}
	for _, g := range []search.Gate{{KLMax: 8e-5}, {PPLRatioMax: 1.001}, {KLMax: 1e-4, PPLRatioMax: 1.002}} {
		r.Gate = g
		got, err := Search(t.Context(), d.client, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		var want search.Point
		for _, p := range all.Points {
			within := p.Chosen.Count() == 0 || (g.KLMax == 0 || p.Measured.KL.Hi <= g.KLMax) && (g.PPLRatioMax == 0 || p.Measured.PPL.Hi <= g.PPLRatioMax)
			if within && (want.Chosen == nil || p.Saved > want.Saved || p.Saved == want.Saved && p.Measured.KL.Value < want.Measured.KL.Value) {
				want = p
			}
		}
		t.Logf("%+v: %s saves %d bytes at KL %.2e, greedy %d, %d measurements", g, got.Chosen.Chosen, got.Chosen.Saved, got.Chosen.Measured.KL.Value, got.Greedy.Saved, got.Measurements)
		if !got.Exact || got.Chosen.Chosen.String() != want.Chosen.String() || got.Chosen.Saved < got.Greedy.Saved {
			t.Errorf("%+v: chose %s, brute force %s, greedy %s", g, got.Chosen.Chosen, want.Chosen, got.Greedy.Chosen)
		}
	}
}

// TestChoiceHoldsItsGateElsewhere searches among all products of the demo model
// on text that is neither the ranges' nor the evaluation's, and measures what was
// chosen on the evaluation text.
func TestChoiceHoldsItsGateElsewhere(t *testing.T) {
	d := newDemo(t)
	r := d.request(t, d.targets, 12)
	r.Confirm = 8
	for _, g := range []search.Gate{{KLMax: 1e-4}, {KLMax: 1, PPLRatioMax: 1.002}} {
		r.Gate, r.IDs, r.Windows, r.Confirm, r.Subsets, r.Only = g, d.calibrate[len(d.calibrate)/2:], 12, 8, nil, false
		start := time.Now()
		got, err := Search(t.Context(), d.client, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		r.Gate, r.IDs, r.Windows, r.Confirm = search.Gate{}, d.evaluation, 24, 0
		r.Subsets, r.Only = []search.Subset{got.Chosen.Chosen}, true
		held, err := Search(t.Context(), d.client, r, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		m := held.Points[0].Measured
		t.Logf("%+v: %d of %d, KL %.2e (%.2e..%.2e), ppl × %.5f; on the evaluation text KL %.2e (%.2e..%.2e), ppl × %.5f (%.5f..%.5f); greedy %d bytes, chosen %d; %d measurements in %s",
			g, got.Chosen.Chosen.Count(), len(d.targets), got.Chosen.Measured.KL.Value, got.Chosen.Measured.KL.Lo, got.Chosen.Measured.KL.Hi, got.Chosen.Measured.PPL.Value,
			m.KL.Value, m.KL.Lo, m.KL.Hi, m.PPL.Value, m.PPL.Lo, m.PPL.Hi, got.Greedy.Saved, got.Chosen.Saved, got.Measurements, took.Round(time.Millisecond))
		if g.KLMax > 0 && m.KL.Value > g.KLMax || g.PPLRatioMax > 0 && m.PPL.Value > g.PPLRatioMax {
			t.Errorf("%+v: the choice costs KL %.2e, perplexity × %.5f on text that it was not chosen on", g, m.KL.Value, m.PPL.Value)
		}
		if got.Chosen.Chosen.Count() == 0 || g.Holds(*got.Greedy.Confirmed) && got.Chosen.Saved < got.Greedy.Saved {
			t.Errorf("%+v: chose %s, greedy %s", g, got.Chosen.Chosen, got.Greedy.Chosen)
		}
	}
}

// TestSensitivitiesTellOperandsApart: quantizing both operands costs what they
// cost apart, nearly, for small errors of independent sources add up.
func TestSensitivitiesTellOperandsApart(t *testing.T) {
	d := newDemo(t)
	r := d.request(t, d.targets, 8)
	r.Parts = true
	start := time.Now()
	got, err := Search(t.Context(), d.client, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range got.Effects {
		t.Logf("%-24s %-8s KL %.2e (%.2e..%.2e), activation %.2e, weight %.2e, ppl × %.5f", e.Node, d.targets[i].Role,
			e.Both.KL.Value, e.Both.KL.Lo, e.Both.KL.Hi, e.Activation.KL.Value, e.Weight.KL.Value, e.Both.PPL.Value)
		if sum := e.Activation.KL.Value + e.Weight.KL.Value; math.Abs(sum/e.Both.KL.Value-1) > 0.3 {
			t.Errorf("%s: both %.2e, apart %.2e", e.Node, e.Both.KL.Value, sum)
		}
	}
	t.Logf("%d products, %d measurements of %d tokens in %s", len(got.Effects), 3*len(got.Effects), r.Windows*r.Length, time.Since(start).Round(time.Millisecond))
}
