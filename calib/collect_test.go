package calib

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
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

// python runs a graph in ONNX Runtime and remembers all raw values.
type python struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func (p *python) Run(feeds []onnx.Tensor, fetch []string) ([]onnx.Tensor, error) {
	type tensor struct {
		Name  string  `json:"name"`
		Type  string  `json:"type"`
		Dims  []int64 `json:"dims"`
		Bytes int     `json:"bytes"`
	}
	var heads []tensor
	var data []byte
	for _, f := range feeds {
		heads = append(heads, tensor{f.Name, f.Type.String(), f.Dims, len(f.Bytes)})
		data = append(data, f.Bytes...)
	}
	b, err := json.Marshal(map[string]any{"feeds": heads, "fetch": fetch})
	if err != nil {
		return nil, err
	}
	if _, err := p.in.Write(append(append(b, '\n'), data...)); err != nil {
		return nil, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var answer []tensor
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, err
	}
	var all []onnx.Tensor
	for _, a := range answer {
		raw := make([]byte, a.Bytes)
		if _, err := io.ReadFull(p.out, raw); err != nil {
			return nil, err
		}
		all = append(all, onnx.Tensor{Name: a.Name, Type: onnx.Float32, Dims: a.Dims, Bytes: raw})
	}
	return all, nil
}

// TestCollectIsNumpyOnRawActivations calibrates through ONNX Runtime, keeps every
// raw activation there and lets numpy reduce them: extremes exactly, the
// percentile within a bin, and the shapes are those of prefill and of real
// cached decode.
func TestCollectIsNumpyOnRawActivations(t *testing.T) {
	interpreter := testenv.Python(t, "oracle")
	m := gpt2(t)
	c, err := contract.Infer(m)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := Cut(m, observed)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	graph, result := filepath.Join(dir, "cut.onnx"), filepath.Join(dir, "numpy.json")
	if err := onnx.Save(cut, graph, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(interpreter, filepath.Join("testdata", "runner.py"), graph, result)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ids := text(1, 400)
	plan, err := NewPlan(len(ids), PlanOptions{Samples: 6, Prefill: []int{12, 5}, Decode: 3, Seed: 3, Limit: c.MaxPositions})
	if err != nil {
		t.Fatal(err)
	}
	collector, collectErr := Collect(context.Background(), &python{in: in, out: bufio.NewReader(out)}, c, Job{IDs: ids, Plan: plan, Observe: observed}, progress.Noop)
	if err := errors.Join(collectErr, in.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	var numpy map[string]struct {
		Lo, Hi float64
		P99    [2]float64
		Runs   [][]int64
	}
	if err := json.Unmarshal(b, &numpy); err != nil {
		t.Fatal(err)
	}
	if runs := numpy["present.0.key"].Runs; len(runs) != 6*4 || !slices.Equal(runs[3], []int64{1, 4, 15, 8}) || !slices.Equal(runs[4], []int64{1, 4, 5, 8}) {
		t.Errorf("the cache's shapes were %v", runs)
	}
	table, err := collector.Table(Absmax())
	if err != nil {
		t.Fatal(err)
	}
	if table.Samples != 6 || table.Tokens != 3*(12+5)+6*3 {
		t.Errorf("%d samples of %d tokens", table.Samples, table.Tokens)
	}
	for _, name := range observed {
		got, want := table.Ranges[name], numpy[name]
		if float64(got.Lo) != want.Lo || float64(got.Hi) != want.Hi || float64(got.Amax) != max(-want.Lo, want.Hi) {
			t.Errorf("%s: %+v, numpy %+v", name, got, want)
		}
		h := collector.Tensors[name]
		bin := math.Ldexp(1, h.Exp) / Bins
		if q := float64(h.Quantile(0.99)); q < want.P99[0]-bin || q > want.P99[1]+bin {
			t.Errorf("%s: percentile 99 is %v, numpy %v, bin %v", name, q, want.P99, bin)
		}
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
