package contract_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
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
	half, err := quant.Half(m, quant.HalfOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, got := infer(t, m), infer(t, half)
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

func infer(t *testing.T, m *onnx.Model) *contract.Contract {
	t.Helper()
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
