package task

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/jobs"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/search"
)

// searched answers a search with a given result, and what is then written with a
// cost that depends on how many products it has.
type searched struct {
	result search.Result
	cost   func(products int) float64
	finals []int
}

func costs(kl float64) search.Measurement {
	return search.Measurement{KL: search.Interval{Value: kl, Lo: kl, Hi: kl}, PPL: search.Interval{Value: 1, Lo: 1, Hi: 1}, Windows: 2}
}

func (s *searched) Call(_ context.Context, _ string, request, result any, _ progress.Counter) error {
	r, to := request.(jobs.SearchRequest), result.(*search.Result)
	if *to = s.result; r.Only {
		n := len(r.Candidates)
		s.finals = append(s.finals, n)
		*to = search.Result{Points: []search.Point{{Chosen: r.Subsets[0], Measured: costs(s.cost(n))}}}
	}
	return nil
}

func (s *searched) CallTensors(context.Context, string, any, []onnx.Tensor, any, progress.Counter) ([]onnx.Tensor, error) {
	return nil, errors.New("no tensors are asked for")
}

// TestWhatIsWrittenHoldsTheGate: a choice that breaks the gate once it is smoothed
// for itself alone is given up for the next best, in the end for nothing.
func TestWhatIsWrittenHoldsTheGate(t *testing.T) {
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 1, Width: 16, Heads: 2, Vocab: 31, Positions: 32, Std: 0.1}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	targets, err := quant.Targets(m, quant.Policy{})
	if err != nil || len(targets) != 2 {
		t.Fatal(targets, err)
	}
	table := &calib.Table{Ranges: map[string]calib.Range{}}
	if table.Model, err = m.Digest(); err != nil {
		t.Fatal(err)
	}
	var candidates []search.Candidate
	for _, target := range targets {
		table.Ranges[target.Activation] = calib.Range{Lo: -1, Hi: 1, Amax: 1}
		candidates = append(candidates, search.Candidate{Node: target.Node, Float: 4, Quantized: 1})
	}
	point := func(a, b bool, kl float64) search.Point {
		p := search.Point{Chosen: search.Subset{a, b}, Measured: costs(kl)}
		p.Saved = int64(3 * p.Chosen.Count())
		return p
	}
	both := point(true, true, 0.9)
	effects := []search.Effect{{Node: targets[0].Node, Both: costs(1.1)}, {Node: targets[1].Node, Both: costs(0.5)}}
	for name, tt := range map[string]struct {
		cost   func(products int) float64
		finals int
		want   string
	}{
		"it holds":       {func(int) float64 { return 0.5 }, 1, "11"},
		"one holds":      {func(n int) float64 { return 0.7 * float64(n) }, 2, "01"},
		"nothing at all": {func(int) float64 { return 2 }, 2, "00"},
	} {
		fake := &searched{cost: tt.cost, result: search.Result{
			Candidates: candidates, Gate: search.Gate{KLMax: 1}, Exact: true, Chosen: both, Effects: effects,
			Points: []search.Point{point(false, false, 0), point(true, false, 1.1), point(false, true, 0.5), both},
		}}
		r, _, err := Search{Model: m, Contract: c, Table: table, Recipe: quant.Recipe{Precision: quant.INT8}, IDs: make([]int, 64), Windows: 2, Length: 8,
			Gate: search.Gate{KLMax: 1}, Dir: t.TempDir()}.Run(t.Context(), fake, progress.Noop)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := r.Err(); (err != nil) != (tt.want == "00") || err != nil && (fault.Classify(err) != fault.Gate || !strings.Contains(err.Error(), "no product fits the gate")) {
			t.Errorf("%s: %v", name, err)
		}
		if got := r.Chosen.Chosen.String(); got != tt.want || len(fake.finals) != tt.finals || (r.Final != nil) != (tt.want != "00") || r.Exact != (tt.want == "11") {
			t.Errorf("%s: %s is chosen, %+v as it is written, exact %v, after %v", name, got, r.Final, r.Exact, fake.finals)
		}
	}
}
