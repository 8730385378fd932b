package rtx

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/engine/enginetest"
	"github.com/trtforge/trtforge/engine/planfile"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/onnx"
)

func TestContract(t *testing.T) {
	m := decoder(t)
	enginetest.Run(t, func(t *testing.T) engine.Builder { return builder(t) },
		asked(t, half(t, m), engine.FP16), asked(t, m, engine.INT8))
}

// Two layers of four projections, lm_head, and two profiles. What the builder
// fuses into other layers is its own affair; the quantized QKV and FC1 of each
// layer and profile are not.
func TestRequestedIsAchieved(t *testing.T) {
	m := decoder(t)
	b := builder(t)
	size := map[engine.Precision]int64{}
	for _, v := range []struct {
		precision engine.Precision
		graph     *onnx.Model
		layer     string
		least     int
		never     string
	}{
		{engine.FP32, m, "gemm Float", 8, "Half"},
		{engine.FP16, half(t, m), "gemm Half", 4, "Int8"},
		{engine.INT8, half(t, integer(t, m)), "gemm Int8", 8, "Int4"},
	} {
		dir := t.TempDir()
		got, err := b.Build(t.Context(), asked(t, v.graph, v.precision), dir, progress.Noop)
		if err != nil {
			t.Errorf("%s: %v", v.precision, err)
			continue
		}
		if got.Achieved != v.precision || got.Layers[v.layer] < v.least || len(got.Profiles) != 2 || got.Licence == "" {
			t.Errorf("%s: achieved %s with %v, %d profiles", v.precision, got.Achieved, got.Layers, len(got.Profiles))
		}
		for layer := range got.Layers {
			if strings.HasSuffix(layer, v.never) {
				t.Errorf("%s: the engine has %s", v.precision, layer)
			}
		}
		if h, err := planfile.Read(filepath.Join(dir, got.File)); err != nil || h.Version != b.Version {
			t.Errorf("%s: header %+v, %v", v.precision, h, err)
		}
		if m := got.Memory; m == nil || len(m.Profiles) != 2 || m.Profiles[1].Profile != "decode" || m.Profiles[0].ActivationBytes <= m.Profiles[1].ActivationBytes || m.WeightsBytes == 0 {
			t.Errorf("%s: memory %+v", v.precision, m)
		}
		size[v.precision] = got.Bytes
	}
	if size[engine.FP16] > size[engine.FP32]*3/4 {
		t.Errorf("FP16 has %d bytes, FP32 %d", size[engine.FP16], size[engine.FP32])
	}
}

// TestEachBuildTellsItsOwnPeak: a worker builds many engines, and what a large one took
// is no fact of a small one.
func TestEachBuildTellsItsOwnPeak(t *testing.T) {
	b := builder(t)
	var peaks []int64
	for _, vocab := range []int64{256, 60000, 256} { // 60,000 rows are 31 MB of weights
		dir := t.TempDir()
		if err := export.Random(dir, export.Shape{Layers: 1, Width: 128, Heads: 4, Vocab: vocab, Positions: 64}, 1); err != nil {
			t.Fatal(err)
		}
		m, err := export.GPT2(dir, export.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = m.Close() })
		got, err := b.Build(t.Context(), asked(t, m, engine.FP32), t.TempDir(), progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		if got.Log == "" || got.Measured.PeakBytes < 50<<20 {
			t.Errorf("log %q, peak %d", got.Log, got.Measured.PeakBytes)
		}
		peaks = append(peaks, got.Measured.PeakBytes)
	}
	if peaks[2] > peaks[1]-40<<20 {
		t.Errorf("peaks %d: the last is that of the one before", peaks)
	}
}

func TestBuildsThatFail(t *testing.T) {
	m := decoder(t)
	b := builder(t)
	other := *b.Builder
	other.Version = "1.2.3.4"
	turned := asked(t, m, engine.FP32)
	turned.Plan.Profiles[1].Inputs[0].Min[0] = 9 // above its optimum
	unjudged := turned
	unjudged.Contract = nil // NVIDIA's own refusal is to be seen
	lacking := asked(t, m, engine.FP32)
	lacking.Plan.Profiles[0].Inputs = lacking.Plan.Profiles[0].Inputs[1:]
	// Without a contract there is nothing to hold profiles against but NVIDIA's
	// builder, which leaves a profile that it refuses out and builds on.
	turnedAway, lackingToo := turned, lacking
	turnedAway.Contract, lackingToo.Contract = nil, nil
	broken := asked(t, m, engine.FP32)
	if err := onnx.Save(unparsable(m), broken.Model, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	torn := asked(t, m, engine.FP32)
	if err := os.WriteFile(torn.Model, []byte("\x08\x0a torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	gone := asked(t, m, engine.FP32)
	gone.Model += ".none"
	for _, v := range []struct {
		name string
		b    engine.Builder
		r    engine.Request
		exit int
		want []string
	}{
		{"an FP32 graph as INT8", b, asked(t, m, engine.INT8), 4, []string{"the graph is fp32, not int8", "/h.0/attn/c_attn/MatMul", "more"}},
		{"an FP16 graph as FP32", b, asked(t, half(t, m), engine.FP32), 4, []string{"the graph is fp16, not fp32"}},
		{"weights scaled along the wrong axis", b, asked(t, half(t, wrongAxis(t, integer(t, m), 4)), engine.INT8), 5, []string{"4 of 4 quantized", "2 profiles", "/h.0/attn/c_attn/MatMul", "/h.1/mlp/c_fc/MatMul"}},
		{"one weight of four scaled along the wrong axis", b, asked(t, half(t, wrongAxis(t, integer(t, m), 1)), engine.INT8), 5, []string{"1 of 4", "/h.0/attn/c_attn/MatMul"}},
		{"a minimum above the optimum", b, turned, 2, []string{"profile 1 (decode)", "input_ids dimension 0"}},
		{"a minimum above the optimum, by the builder", b, turnedAway, 5, []string{"profile decode", "input_ids"}},
		{"an input without a range", b, lacking, 2, []string{"profile 0 (prefill)", "input_ids"}},
		{"an input without a range, by the builder", b, lackingToo, 2, []string{"profile prefill", "input_ids"}},
		{"a graph that does not parse", b, broken, 5, []string{"/odd/Node"}},
		{"a torn file", b, torn, 4, []string{"test-fp32"}},
		{"a file that is not there", b, gone, 4, []string{gone.Model}},
		{"another builder than the lock says", &other, asked(t, m, engine.FP32), 5, []string{b.Version, "want 1.2.3.4"}},
	} {
		got, err := v.b.Build(t.Context(), v.r, t.TempDir(), progress.Noop)
		if got != nil || fault.Exit(err) != v.exit {
			t.Errorf("%s: exit %d, %v", v.name, fault.Exit(err), err)
			continue
		}
		for _, want := range v.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\ndoes not say %s", v.name, err, want)
			}
		}
	}
	if _, err := b.Build(t.Context(), asked(t, m, engine.FP32), t.TempDir(), progress.Noop); err != nil {
		t.Errorf("the worker did not survive refusals: %v", err)
	}
}

// unparsable is a copy of m with a node of an operator that does not exist.
func unparsable(m *onnx.Model) *onnx.Model {
	m = m.Clone()
	g := m.Graph()
	g.Node = append(g.Node, onnx.Node("NoSuchOperator", "/odd/Node", []string{g.Output[0].GetName()}, []string{"odd"}))
	g.Output = append(g.Output, onnx.ValueInfo("odd", onnx.Float32, onnx.Sym("n")))
	return m
}

// wrongAxis scales the first quantized weights by their rows instead of their columns,
// which is valid ONNX and nothing that integer products can be made of.
func wrongAxis(t *testing.T, m *onnx.Model, most int) *onnx.Model {
	t.Helper()
	changed := 0
	for _, n := range m.Graph().GetNode() {
		w := m.Weight(n.Input[0])
		if n.GetOpType() != "DequantizeLinear" || w == nil || len(w.Dims) != 2 || changed == most {
			continue
		}
		axis := 1 - onnx.AttrInt(n, "axis", 1)
		scale := make([]float32, w.Dims[axis])
		for i := range scale {
			scale[i] = 0.001 * float32(1+i%7)
		}
		name := n.Input[1] + "_rows"
		m.SetWeight(onnx.Floats(name, []int64{w.Dims[axis]}, scale...))
		n.Input = []string{n.Input[0], name}
		onnx.Attr(n, "axis").I = axis
		changed++
	}
	if changed != most {
		t.Fatalf("%d weights were changed, want %d", changed, most)
	}
	return m
}

// killer kills the worker at the first sign of life.
type killer struct{ kill func() }

func (k *killer) SetMax(int64) {}
func (k *killer) Set(int64)    {}
func (k *killer) Note(string) {
	if k.kill != nil {
		k.kill()
		k.kill = nil
	}
}
func (k *killer) Sub(string) progress.Counter { return k }

func TestKilledWorker(t *testing.T) {
	b := builder(t)
	r := asked(t, decoder(t), engine.FP32)
	_, err := b.Build(t.Context(), r, t.TempDir(), &killer{func() { _ = syscall.Kill(b.worker.PID(), syscall.SIGKILL) }})
	if fault.Classify(err) != fault.Runtime || !strings.Contains(err.Error(), "test-fp32") || !strings.Contains(err.Error(), "build") {
		t.Errorf("class %s: %v", fault.Classify(err), err)
	}
}
