package half

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/bpe"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// demoModel is the demo model and the files of its two texts as token ids.
func demoModel(t *testing.T) (m *onnx.Model, calibrate, evaluate string) {
	t.Helper()
	testenv.Python(t, "oracle")
	model := filepath.Join(testenv.Root(t), "examples", "demo", "model")
	tokens, err := bpe.Load(model)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(part string) string {
		ids, err := tokens.Encode(string(testenv.DemoText(t, part)))
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, part)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return quanttest.Opened(t)(export.GPT2(model, export.Options{})), file("calibrate"), file("evaluate")
}

// TestDemoInHalfPrecision holds the demo model to what narrow types may cost on
// text it was not calibrated on: numpy computes in the types of the graph, so
// what is rounded and what overflows counts. TRTFORGE_FULL=1 adds bfloat16.
func TestDemoInHalfPrecision(t *testing.T) {
	m, calibrate, evaluate := demoModel(t)
	dir := t.TempDir()
	h, kept, err := Convert(m, Options{Table: ranged(t, m, calibrate)})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kept {
		if k.Tensor != "" {
			t.Errorf("the demo model fits float16, yet: %+v", k)
		}
	}
	fp16, bf16 := quanttest.Saved(t, h, dir, "fp16"), quanttest.Saved(t, typed(t, m, Options{Type: onnx.BFloat16}), dir, "bf16")
	fp32 := quanttest.Decode[float64](t, quanttest.Oracle(t, "perplexity", evaluate, quanttest.Saved(t, m, dir, "fp32"))[0])
	graphs := []string{fp16}
	if os.Getenv("TRTFORGE_FULL") != "" {
		graphs = append(graphs, bf16)
	}
	for i, line := range quanttest.Oracle(t, append([]string{"typedppl", evaluate}, graphs...)...) {
		cost := quanttest.Decode[float64](t, line)/fp32 - 1
		name, limit := []string{"float16", "bfloat16"}[i], []float64{0.0005, 0.002}[i]
		t.Logf("%s: perplexity %+.4f %%", name, 100*cost)
		if !(cost <= limit) {
			t.Errorf("%s costs %.4f %%, %.2f %% are allowed", name, 100*cost, 100*limit)
		}
	}
}

// TestDefaultHeadRoomIsEnough measures what the default stands on: how much
// further tensors reach on another text than on the calibration's.
func TestDefaultHeadRoomIsEnough(t *testing.T) {
	m, calibrate, evaluate := demoModel(t)
	seen, unseen := ranged(t, m, calibrate), ranged(t, m, evaluate)
	amax := func(r calib.Range) float64 { return math.Max(-float64(r.Lo), float64(r.Hi)) }
	worst, where := 0.0, ""
	for name, r := range seen.Ranges {
		if ratio := amax(unseen.Ranges[name]) / amax(r); ratio > worst {
			worst, where = ratio, name
		}
	}
	t.Logf("%d tensors reach at most %.2f times as far on the evaluation text (%s)", len(seen.Ranges), worst, where)
	if worst == 0 || worst > defaultHeadRoom {
		t.Errorf("%s reaches %.2f times as far, the default head room is %d", where, worst, defaultHeadRoom)
	}
}
