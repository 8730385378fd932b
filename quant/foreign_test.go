package quant

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/quant/quanttest"
)

// TestForeignExports quantizes what other exporters write (torch's both, optimum,
// onnxruntime-genai; GPT-2, Llama, Qwen, OPT, NeoX, BERT) and runs it in ONNX
// Runtime beside the float original: every product in integers as the runtime is
// by default, attention's too, and the logits near.
func TestForeignExports(t *testing.T) {
	testenv.Python(t, "oracle")
	paths, err := filepath.Glob(filepath.Join("..", "contract", "testdata", "*.onnx"))
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d exports, %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".onnx")
		if os.Getenv("TRTFORGE_FULL") == "" && !slices.Contains(usual, name) {
			continue
		}
		m := quanttest.Opened(t)(onnx.Load(path))
		// Pictures are fed otherwise; onnxruntime-genai's attention takes one row only.
		if m.Graph().GetInput()[0].GetName() == "pixel_values" || strings.HasPrefix(name, "genai") {
			continue
		}
		dir := t.TempDir()
		args := []string{"compare", path}
		var want []map[string]int
		for kind, p := range map[string]Policy{
			"all": everything(), "weights": {Roles: everything().Roles, WeightOnly: true}, "attention": {Roles: []Role{Scores, Values}},
		} {
			targets, err := Targets(m, p)
			if err != nil {
				t.Fatal(err)
			}
			var graph *onnx.Model
			ops := map[string]int{"MatMulIntegerToFloat": len(targets)}
			if p.WeightOnly {
				// The runtime's kernel that reads INT8 weights.
				ops = map[string]int{"MatMulNBits": len(targets), "DequantizeLinear": 0}
				graph = quanttest.Opened(t)(first(Int8(m, nil, p)))
			} else {
				graph = int8Of(t, m, p)
			}
			args, want = append(args, quanttest.Saved(t, graph, dir, kind)), append(want, ops)
		}
		for i, line := range quanttest.Oracle(t, args...) {
			got := quanttest.Decode[comparison](t, line)
			for op, n := range want[i] {
				if got.Ops.Default[op] != n && !alike[name] {
					t.Errorf("%s, %s: %d %s of %d, operators %v", name, filepath.Base(args[i+2]), got.Ops.Default[op], op, n, got.Ops.Default)
				}
			}
			for _, rms := range got.RMS {
				if !(rms <= 0.2) {
					t.Errorf("%s, %s: relative RMS %v", name, filepath.Base(args[i+2]), got.RMS)
				}
			}
		}
	}
}

// alike are exports of untrained models with two norms of one input that are
// equal, so that the runtime makes one of them and of what follows.
var alike = map[string]bool{"neox": true, "optimum-neox": true}

// usual are the exports that are looked at without TRTFORGE_FULL.
var usual = []string{"gpt2-dynamo", "llama", "opt", "neox-dynamo", "optimum-gpt2", "optimum-qwen2", "optimum-bert"}

func first(m *onnx.Model, _ []Decision, err error) (*onnx.Model, error) { return m, err }

// TestForeignRoles: the roles of what other exporters write, without names.
func TestForeignRoles(t *testing.T) {
	gpt2, llama := []Role{QKV, Scores, Values, AttnOut, FC1, FC2}, []Role{QKV, QKV, QKV, Scores, Values, AttnOut, FC1, FC1, FC2}
	for name, layer := range map[string][]Role{
		"gpt2": gpt2, "gpt2-dynamo": gpt2, "optimum-gpt2": gpt2, "neox": gpt2, "neox-dynamo": gpt2, "optimum-neox": gpt2,
		"llama": llama, "llama-dynamo": llama, "optimum-llama": llama, "qwen2": llama, "optimum-qwen2": llama,
		"llama-attention": {QKV, QKV, QKV, AttnOut, FC1, FC1, FC2}, // one node is attention
		"genai-llama":     {QKV, AttnOut, FC1, FC1, FC2},           // and norms are fused with residual sums
		"opt":             {QKV, QKV, QKV, Scores, Values, AttnOut, FC1, FC2},
		"optimum-opt":     {QKV, QKV, QKV, Scores, Values, AttnOut, FC1, FC2},
	} {
		targets, err := Products(quanttest.Opened(t)(onnx.Load(filepath.Join("..", "contract", "testdata", name+".onnx"))))
		if err != nil {
			t.Fatal(err)
		}
		var roles []Role
		for i, target := range targets {
			roles = append(roles, target.Role)
			if want := i / len(layer); target.Role != LMHead && target.Layer != want {
				t.Errorf("%s: %s is in layer %d, want %d", name, target.Node, target.Layer, want)
			}
		}
		// Attention's products come in either order with the projection of values.
		slices.Sort(roles)
		want := slices.Concat(layer, layer, []Role{LMHead})
		slices.Sort(want)
		if !slices.Equal(roles, want) {
			t.Errorf("%s: %v, want %v", name, roles, want)
		}
	}
}
