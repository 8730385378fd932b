package engine

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// asks has NVIDIA's parser say which operators of its arguments it does not take.
const asks = `
import sys
import tensorrt_rtx_bindings as trt
class Quiet(trt.ILogger):
    def __init__(self): trt.ILogger.__init__(self)
    def log(self, severity, text): pass
log = Quiet()
builder = trt.Builder(log)
parser = trt.OnnxParser(builder.create_network(0), log)
print(" ".join(op for op in sys.argv[1:] if not parser.supports_operator(op)))
`

// ours are operators of the graphs that export and quant write.
var ours = strings.Fields("Add And Cast Concat DequantizeLinear Gather Gelu Gemm LayerNormalization LessOrEqual MatMul Mul QuantizeLinear Range Reshape ScatterElements Shape Softmax Split Sub Tanh Transpose Unsqueeze Where")

func TestUnparsedIsWhatTheParserSays(t *testing.T) {
	python := testenv.Python(t, "rtx")
	out, err := exec.Command(python, append([]string{"-c", asks}, append(slices.Clone(ours), unparsed...)...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(string(out)); !slices.Equal(got, unparsed) {
		t.Errorf("the parser does not take %v, listed are %v", got, unparsed)
	}
}

func TestRefused(t *testing.T) {
	m := onnx.New("g")
	m.SetWeight(onnx.Floats("scale", nil, 0.5))
	zero := func(name string, typ onnx.DType, b byte) {
		m.SetWeight(&onnx.Weight{Name: name, Type: typ, Data: onnx.Memory{b}})
	}
	zero("zero", onnx.Int8, 0)
	zero("three", onnx.Int8, 3)
	zero("unsigned", onnx.Uint8, 0)
	g := m.Graph()
	for i, z := range []string{"zero", "", "three", "unsigned"} {
		g.Node = append(g.Node, onnx.Node("QuantizeLinear", "q"+z, []string{"x", "scale", z}, []string{string(rune('a' + i))}))
	}
	fused := onnx.Node("FusedMatMul", "mm", []string{"x", "x"}, []string{"y"})
	fused.Domain = "com.microsoft"
	g.Node = append(g.Node, fused, onnx.Node("MatMulInteger", "int", []string{"a", "a"}, []string{"z"}), onnx.Node("MatMul", "good", []string{"x", "x"}, []string{"w"}))
	got := Refused(m)
	want := []string{
		`MatMulInteger is no operator that TensorRT's parser takes: "int"`,
		`QuantizeLinear with a zero point that is not INT8 and 0: "qthree" and 1 more`,
		`com.microsoft.FusedMatMul is no operator of TensorRT: "mm"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// What the builder of TensorRT-RTX answers of ONNX's Attention (see
// engine/rtx/exports_test.go), and what the parser answers of it in half.
func TestAttentionIsRefusedByName(t *testing.T) {
	m, err := onnx.Load(filepath.Join(testenv.Root(t), "contract", "testdata", "llama-attention.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if got := Refused(m); got != nil {
		t.Errorf("the parser takes it: %q", got)
	}
	if got := RefusedByRTX(m); len(got) != 1 || !strings.HasPrefix(got[0], "Attention in FP32") || !strings.HasSuffix(got[0], " and 1 more") {
		t.Errorf("%q", got)
	}
	for _, n := range m.Graph().GetNode() {
		if n.GetOpType() == "Attention" {
			n.Attribute = append(n.Attribute, &onnxpb.AttributeProto{Name: "softmax_precision"})
		}
	}
	if got := Refused(m); len(got) != 1 || !strings.HasPrefix(got[0], "Attention with softmax_precision") {
		t.Errorf("%q", got)
	}
	plain, err := onnx.Load(filepath.Join(testenv.Root(t), "contract", "testdata", "llama-attention.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = plain.Close() }()
	plain.Graph().Node = slices.DeleteFunc(plain.Graph().GetNode(), func(n *onnxpb.NodeProto) bool { return n.GetOpType() == "Attention" })
	if got := RefusedByRTX(plain); got != nil {
		t.Errorf("without it: %q", got)
	}
}
