package calib

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

// gpt2 is a small random GPT-2.
func gpt2(t *testing.T) *onnx.Model {
	t.Helper()
	dir := t.TempDir()
	if err := export.Random(dir, export.Shape{Layers: 2, Width: 32, Heads: 4, Vocab: 97, Positions: 64, Std: 0.2}, 1); err != nil {
		t.Fatal(err)
	}
	m, err := export.GPT2(dir, export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

var observed = []string{"/h.0/ln_1/LayerNormalization_output_0", "/h.1/mlp/Gelu_output_0"}

func TestCutDropsWhatNobodyObserves(t *testing.T) {
	m := gpt2(t)
	whole := len(m.Graph().GetNode())
	c, err := Cut(m, observed)
	if err != nil {
		t.Fatal(err)
	}
	var outputs []string
	for _, v := range c.Graph().GetOutput() {
		outputs = append(outputs, v.GetName())
	}
	want := append(slices.Clone(observed), "present.0.key", "present.0.value", "present.1.key", "present.1.value")
	if !slices.Equal(outputs, want) {
		t.Errorf("outputs %v, want %v", outputs, want)
	}
	for _, n := range c.Graph().GetNode() {
		if strings.HasPrefix(n.GetName(), "/lm_head") || strings.HasPrefix(n.GetName(), "/ln_f") || strings.HasPrefix(n.GetName(), "/h.1/mlp/c_proj") {
			t.Errorf("node %s computes what nobody observes", n.GetName())
		}
	}
	if len(m.Graph().GetNode()) != whole || len(m.Graph().GetOutput()) != 5 {
		t.Error("cutting changed the model itself")
	}
	_, err = Cut(m, []string{"nowhere", observed[0], "input_ids"})
	if fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), "nowhere") || !strings.Contains(err.Error(), "input_ids") {
		t.Errorf("%v, want a usage error that names both tensors", err)
	}
}

func TestCutRefusesAQuantizedGraph(t *testing.T) {
	m := gpt2(t)
	g := m.Graph()
	at := len(g.Node) / 2
	for _, op := range []string{"QuantizeLinear", "DequantizeLinear"} {
		g.Node = slices.Insert(g.Node, at, onnx.Node(op, "/h.1/"+op, []string{"a", "b"}, []string{op}))
	}
	_, err := Cut(m, observed)
	if fault.Classify(err) != fault.Usage || !strings.Contains(err.Error(), "node /h.1/DequantizeLinear") {
		t.Errorf("%v, want a usage error that names the first quantized node", err)
	}
}

// none answers nothing.
type none struct{}

func (none) Run([]onnx.Tensor, []string) ([]onnx.Tensor, error) { return nil, nil }

func TestCollectRefusals(t *testing.T) {
	m := gpt2(t)
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	outside := Job{IDs: text(1, 20), Plan: Plan{Samples: []Sample{{Start: 15, Prefill: 4, Decode: 2}}}, Observe: observed}
	if _, err := Collect(context.Background(), none{}, c, outside, progress.Noop); fault.Classify(err) != fault.Usage {
		t.Errorf("a window outside the text: %v, want a usage error", err)
	}
	unknown := Job{IDs: append(text(1, 20), 97), Plan: Plan{Samples: []Sample{{Prefill: 4}}}, Observe: observed}
	if _, err := Collect(context.Background(), none{}, c, unknown, progress.Noop); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), "token 20 is 97") {
		t.Errorf("a token that is not of the vocabulary: %v, want an input error that names it", err)
	}
	inside := Job{IDs: text(1, 20), Plan: Plan{Samples: []Sample{{Prefill: 4}}}, Observe: observed}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Collect(ctx, none{}, c, inside, progress.Noop); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	silent, err := Collect(context.Background(), none{}, c, inside, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Table(Absmax()); fault.Classify(err) != fault.Input || !strings.Contains(err.Error(), observed[0]) || !strings.Contains(err.Error(), observed[1]) {
		t.Errorf("tensors without values: %v, want an input error that names both", err)
	}
}

// TestAnotherBindingIsAnotherJob goes on from what was seen with an input that
// meant something else.
func TestAnotherBindingIsAnotherJob(t *testing.T) {
	c, job := fakeJob(t, 12, PlanOptions{})
	seen := collect(t, c, job)
	if _, err := Resume(context.Background(), &fake{width: 8}, c, job, Keeper{From: seen}, progress.Noop); err != nil {
		t.Error(err)
	}
	other := *c
	other.Inputs = slices.Clone(c.Inputs)
	for i, in := range other.Inputs {
		if in.Kind == contract.KindMask {
			other.Inputs[i].Kind = contract.KindPositions
		}
	}
	if _, err := Resume(context.Background(), &fake{width: 8}, &other, job, Keeper{From: seen}, progress.Noop); fault.Classify(err) != fault.Usage {
		t.Errorf("gone on from: %v", err)
	}
}
