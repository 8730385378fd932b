package rtx

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/engine"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/progress"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant"
	quanthalf "github.com/trtforge/trtforge/quant/half"
)

// every is all of a decoder's linear layers.
var every = []quant.Role{quant.QKV, quant.AttnOut, quant.FC1, quant.FC2, quant.LMHead}

// TestPrecisionsOfTheDemo builds the demo model in every precision, each with a
// profile for prefill and one for decode. What is quantized must show as integer
// products in each profile, by the builder's own lines (Build refuses it
// otherwise); of weights alone, the INT8 constants must reach the products.
func TestPrecisionsOfTheDemo(t *testing.T) {
	m, err := export.GPT2(filepath.Join(testenv.Root(t), "examples", "demo", "model"), export.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	b := builder(t)
	some, linear := quantize(t, m, quant.Policy{}), quantize(t, m, quant.Policy{Roles: every})
	// Attention's too. In a float32 graph the builder computes them in float where
	// there is one query, so only the float16 graph is asked for.
	most := quantize(t, m, quant.Policy{Roles: append([]quant.Role{quant.Scores, quant.Values}, every...)})
	weights := quantize(t, m, quant.Policy{Roles: every, WeightOnly: true})
	for i, v := range []struct {
		name  string
		graph *onnx.Model
		as    engine.Precision
		least map[string]int // layers by class and type
	}{
		{"fp32", m, engine.FP32, map[string]int{"gemm Float": 16}},
		{"fp16", half(t, m), engine.FP16, map[string]int{"gemm Half": 8}},
		{"bf16", brain(t, m), engine.BF16, map[string]int{"gemm BFloat16": 8}},
		// Four layers, two profiles, QKV and FC1.
		{"int8", some, engine.INT8, map[string]int{"gemm Int8": 16}},
		{"int8+fp16", half(t, some), engine.INT8, map[string]int{"gemm Int8": 16}},
		{"weights", weights, engine.W8, map[string]int{"fused_gemm Float": 2 * 17}},
		// From here on with TRTFORGE_FULL only.
		{"int8+bf16", brain(t, some), engine.INT8, map[string]int{"gemm Int8": 16}},
		// Seventeen linear layers; attention's products are one kernel in prefill.
		{"int8, all", linear, engine.INT8, map[string]int{"gemm Int8": 2 * 17}},
		{"int8+fp16, all", half(t, most), engine.INT8, map[string]int{"gemm Int8": 2*17 + 8}},
		{"weights+fp16", half(t, weights), engine.W8, map[string]int{"fused_gemm Half": 2 * 17}},
		{"weights+bf16", brain(t, weights), engine.W8, map[string]int{"fused_gemm BFloat16": 2 * 17}},
	} {
		if i > 5 && os.Getenv("TRTFORGE_FULL") == "" {
			break
		}
		dir := t.TempDir()
		got, err := b.Build(t.Context(), asked(t, v.graph, v.as), dir, progress.Noop)
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		t.Logf("%s: %d bytes, %v", v.name, got.Bytes, got.Layers)
		for layer, least := range v.least {
			if got.Layers[layer] < least {
				t.Errorf("%s: %d %s of %d, %v", v.name, got.Layers[layer], layer, least, got.Layers)
			}
		}
		if n := narrowWeights(t, filepath.Join(dir, got.Account)); strings.HasPrefix(v.name, "weights") && n != 2*17 {
			t.Errorf("%s: %d products read INT8 weights, want %d", v.name, n, 2*17)
		}
	}
}

// narrowWeights counts the layers that multiply by INT8 constants what is not
// INT8 itself.
func narrowWeights(t *testing.T, account string) (n int) {
	t.Helper()
	f, err := os.Open(account)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s := bufio.NewScanner(f)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		constants, _, _ := strings.Cut(s.Text(), "Outputs: [")
		if _, constants, _ = strings.Cut(constants, "Constants: ["); product.MatchString(s.Text()) &&
			narrowest(constants) == "Int8" && narrowest(inputs(s.Text())) != "Int8" {
			n++
		}
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

// quantize is m quantized with ranges that nobody measured.
func quantize(t *testing.T, m *onnx.Model, p quant.Policy) *onnx.Model {
	t.Helper()
	targets, err := quant.Targets(m, p)
	if err != nil {
		t.Fatal(err)
	}
	table := &calib.Table{Kind: "table", SchemaVersion: 1, Ranges: map[string]calib.Range{}}
	for _, name := range quant.Observe(targets) {
		table.Ranges[name] = calib.Range{Lo: -3, Hi: 3, Amax: 3}
	}
	m, _, err = quant.Int8(m, table, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func brain(t *testing.T, m *onnx.Model) *onnx.Model {
	t.Helper()
	m, _, err := quanthalf.Convert(m, quanthalf.Options{Type: onnx.BFloat16})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
