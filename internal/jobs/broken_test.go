//go:build cgo

package jobs

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/contract"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/gate"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/broken"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/rows"
	"github.com/trtforge/trtforge/validate"
)

// The engines of these tests are the demo model's, each broken in one place.

func demoDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(testenv.Root(t), "examples", "demo")
}

// demoGraph is the demo model as a graph.
func demoGraph(t *testing.T) *onnx.Model {
	t.Helper()
	m, err := export.GPT2(filepath.Join(demoDir(t), "model"), export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func demoIDs(t *testing.T, part string) []int {
	t.Helper()
	tokenizer, err := bpe.Load(filepath.Join(demoDir(t), "model"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := tokenizer.Encode(string(testenv.DemoText(t, part)))
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// judged scores a few windows of the demo's text against the recorded bundle and
// holds the engine to a gate that the sound one passes.
func judged(t *testing.T, c Caller, m Model, windows int) (verdicts map[string]gate.Status, all []rows.Row, scores map[string]*validate.Score) {
	t.Helper()
	ids := demoIDs(t, "evaluate")
	reference := filepath.Join(demoDir(t), "reference")
	bundle, err := validate.Read(reference)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bundle.Close() }()
	scores = map[string]*validate.Score{}
	for _, phase := range []string{Prefill, Decode} {
		s, err := Score(t.Context(), c, ScoreRequest{Model: m, IDs: ids, Convention: bundle.Convention, Bundle: reference, Phase: phase, Windows: windows}, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		r, err := validate.Compare(s, validate.Options{Engine: "e"})
		if err != nil {
			t.Fatal(err)
		}
		scores[phase], all = s, append(all, r...)
	}
	verdicts = map[string]gate.Status{}
	engine := gate.Engine{Name: "e", Backend: "ortcpu", Precision: "fp32"}
	for _, v := range gate.Evaluate([]gate.Engine{engine}, map[string]gate.Limits{"fp32": {"ppl_ratio_max": 1.01}}, all) {
		verdicts[v.Phase] = v.Status
	}
	return verdicts, all, scores
}

// A cache whose keys are one column off shows in decode alone.
func TestShiftedCacheFailsDecodeAlone(t *testing.T) {
	c := client(t)
	m := demoGraph(t)
	broken.Cache(m)
	verdicts, all, _ := judged(t, c, saved(t, m), 2)
	if verdicts[Prefill] != gate.Pass || verdicts[Decode] != gate.Fail {
		t.Errorf("with keys one column off: prefill %s, decode %s", verdicts[Prefill], verdicts[Decode])
	}
	ratio, _ := rows.Find(all, "e", "", Decode, validate.PPLRatio)
	t.Logf("decode perplexity is %.3f times the reference's", ratio.Value)
	m = demoGraph(t)
	broken.Positions(m)
	if _, all, _ = judged(t, c, saved(t, m), 2); len(validate.Flaws(all, "e")) != 1 {
		t.Errorf("with positions one too far: flaws %+v", validate.Flaws(all, "e"))
	}
}

// NaN in one layer: the rows say so, and the node is named that makes the first.
func TestNaNIsLocated(t *testing.T) {
	c := client(t)
	for name, damage := range map[string]struct {
		weight string
		at     int
		value  float32
		node   string
		from   string
	}{
		"bias":      {"transformer.h.2.mlp.c_fc.bias", 5, float32(math.NaN()), "/h.2/mlp/c_fc", ""},
		"gain":      {"transformer.h.1.ln_2.weight", 7, float32(math.Inf(1)), "/h.1/mlp/", "/h.1/ln_2"},
		"embedding": {"transformer.wpe.weight", 9 * 256, float32(math.NaN()), "/wpe", ""},
	} {
		m := demoGraph(t)
		if err := broken.Value(m, damage.weight, damage.at, func(float32) float32 { return damage.value }); err != nil {
			t.Fatal(err)
		}
		spoilt := saved(t, m)
		verdicts, all, scores := judged(t, c, spoilt, 1)
		if verdicts[Prefill] != gate.Fail || verdicts[Decode] != gate.Fail || len(validate.Flaws(all, "e")) == 0 {
			t.Errorf("%s: NaN passes: %v", name, verdicts)
		}
		for phase, s := range scores {
			window := s.Convention.Windows(demoIDs(t, "evaluate"))[s.Bad.Window]
			o, err := Locate(t.Context(), c, NewLocate(spoilt, phase, window, s.Bad.Position, t.TempDir()), progress.Noop)
			if err != nil {
				t.Fatal(err)
			}
			if o == nil || !strings.Contains(o.Node, damage.node) || damage.from != "" && (o.From == nil || !strings.Contains(o.From.Node, damage.from)) {
				t.Errorf("%s, %s, first bad position %d: %v, want node %s", name, phase, s.Bad.Position, o, damage.node)
			}
		}
	}
}

// An engine that does not look at its mask is fine until a row is padded.
func TestIgnoredPaddingIsCaught(t *testing.T) {
	c := client(t)
	m := demoGraph(t)
	broken.Mask(m)
	for name, model := range map[string]Model{"sound": saved(t, demoGraph(t)), "broken": saved(t, m)} {
		verdicts, all, _ := judged(t, c, model, 1)
		if verdicts[Prefill] != gate.Pass || verdicts[Decode] != gate.Pass {
			t.Errorf("%s: unpadded windows: %v", name, verdicts)
		}
		v, err := Invariance(t.Context(), c, InvarianceRequest{Model: model, IDs: demoIDs(t, "evaluate")}, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		flaws := validate.Flaws(append(all, v.Rows("e")...), "e")
		if want := map[string]int{"sound": 0, "broken": 2}[name]; len(flaws) != want {
			t.Errorf("%s: %+v gives flaws %+v", name, v, flaws)
		}
		for _, f := range flaws {
			if f.Name != validate.PaddingDelta {
				t.Errorf("the flaw is %+v", f)
			}
		}
	}
}

// demoInt8 is the demo model in INT8, and in float as what it was made of.
func demoInt8(t *testing.T, c Caller) (quantized, float *onnx.Model) {
	t.Helper()
	m := demoGraph(t)
	targets, err := quant.Targets(m, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	var observe []string
	for _, x := range targets {
		for _, name := range []string{x.Activation, x.Second} {
			if name != "" && !slices.Contains(observe, name) {
				observe = append(observe, name)
			}
		}
	}
	cut, err := calib.Cut(m, observe)
	if err != nil {
		t.Fatal(err)
	}
	ids := demoIDs(t, "calibrate")
	plan, err := calib.NewPlan(len(ids), calib.PlanOptions{Samples: 32, Prefill: []int{64}, Decode: 1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := CalibrateRequest{Job: calib.Job{IDs: wide(ids), Plan: plan, Observe: observe}}
	r.Path = filepath.Join(t.TempDir(), "cut.onnx")
	if r.Contract, err = contract.Infer(m); err != nil {
		t.Fatal(err)
	}
	if err := onnx.Save(cut, r.Path, onnx.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	o, err := Calibrate(t.Context(), c, r, progress.Noop)
	if err != nil {
		t.Fatal(err)
	}
	table, err := o.Table(calib.Absmax())
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := quant.Int8(m, table, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return q, m
}

// A scale that is doubled, of an activation or of a weight, is named; where none
// is, none is suspect.
func TestDoubledScaleIsNamed(t *testing.T) {
	c := client(t)
	sound, float := demoInt8(t, c)
	reference := saved(t, float)
	ids := demoIDs(t, "evaluate")
	cases := map[string]func(m *onnx.Model) string{"none": func(*onnx.Model) string { return "" }}
	quantizers, products, err := validate.Quantized(sound)
	if err != nil || len(quantizers) < 4 || len(products) < 8 {
		t.Fatalf("%d quantizers, %d products, %v", len(quantizers), len(products), err)
	}
	for _, q := range []validate.Quantizer{quantizers[0], quantizers[len(quantizers)/2], quantizers[len(quantizers)-1]} {
		cases["activation "+q.Tensor] = func(m *onnx.Model) string {
			if err := broken.Value(m, q.Tensor+"/scale", 0, func(v float32) float32 { return 2 * v }); err != nil {
				t.Fatal(err)
			}
			return q.Tensor
		}
	}
	for _, p := range []validate.Product{products[1], products[len(products)-3]} {
		cases["weight "+p.Weight] = func(m *onnx.Model) string {
			err := broken.Value(m, strings.TrimSuffix(p.Weight, "/int8")+"/scale", 3, func(v float32) float32 { return 2 * v }) // of one channel
			if err != nil {
				t.Fatal(err)
			}
			return p.Tensor
		}
	}
	for name, damage := range cases {
		m := sound.Clone()
		want := damage(m)
		all, err := Tensors(t.Context(), c, TensorsRequest{Model: saved(t, m), Reference: reference.Path, IDs: ids, Length: 128, Windows: 4, Dir: t.TempDir()}, progress.Noop)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all[:3] {
			t.Logf("%s: %5.2f dB %s %s error %.4f %s", name, e.Suspicion, e.Tensor, e.Weight, e.Error, e.Says)
		}
		if suspect := all[0].Suspicion >= validate.Suspect; suspect != (want != "") || suspect && all[0].Tensor != want {
			t.Errorf("%s: the first is %+v, want %s", name, all[0], want)
		}
	}
}
