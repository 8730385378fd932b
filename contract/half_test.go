package contract_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/half"
)

// A typed FP16 graph means the same as the graph it was made of; its cache alone
// has another type.
func TestHalfPrecisionMeansTheSame(t *testing.T) {
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 96, Positions: 24}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	fp16, _, err := half.Convert(m, half.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, got := infer(t, m), infer(t, fp16)
	for _, all := range [][]contract.Tensor{want.Inputs, want.Outputs} {
		for i, v := range all {
			switch v.Kind {
			case contract.KindPastKey, contract.KindPastValue, contract.KindPresentKey, contract.KindPresentValue:
				all[i].Type = "float16"
			}
		}
	}
	if d := cmp.Diff(want.Inputs, got.Inputs); d != "" {
		t.Errorf("inputs:\n%s", d)
	}
	if d := cmp.Diff(want.Outputs, got.Outputs); d != "" {
		t.Errorf("outputs:\n%s", d)
	}
	if got.Layers != 2 || got.MaxPositions != 24 || got.Logits != want.Logits {
		t.Errorf("%d layers, %d positions, logits %q", got.Layers, got.MaxPositions, got.Logits)
	}
}

// Without the names of its dimensions, too, and with INT8 products beside.
func TestQuantizedGraphsWithoutNames(t *testing.T) {
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 96, Positions: 24}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	targets, err := quant.Targets(m, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	table := &calib.Table{Kind: "table", SchemaVersion: 1, Ranges: map[string]calib.Range{}}
	for _, x := range targets {
		table.Ranges[x.Activation] = calib.Range{Lo: -3, Hi: 3, Amax: 3}
	}
	whole, _, err := quant.Int8(m, table, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	both, _, err := half.Convert(whole, half.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := infer(t, m)
	for name, q := range map[string]*onnx.Model{"float": m, "int8": whole, "int8 on float16": both} {
		for _, v := range append(append([]*onnxpb.ValueInfoProto{}, q.Graph().Input...), q.Graph().Output...) {
			for _, d := range v.GetType().GetTensorType().GetShape().GetDim() {
				if d.GetDimParam() != "" {
					d.Value = nil
				}
			}
		}
		q.Proto.MetadataProps = nil
		got := infer(t, q)
		for i, in := range want.Inputs {
			if d := cmp.Diff(want.Shape(in, 3, 7, 11), got.Shape(got.Inputs[i], 3, 7, 11)); d != "" || got.Inputs[i].Kind != in.Kind {
				t.Errorf("%s: %s: %s %s", name, in.Name, got.Inputs[i].Kind, d)
			}
		}
		if got.MaxPositions != 24 || got.Logits != "all" {
			t.Errorf("%s: %d positions, logits %q", name, got.MaxPositions, got.Logits)
		}
	}
}

func infer(t *testing.T, m *onnx.Model) *contract.Contract {
	t.Helper()
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
