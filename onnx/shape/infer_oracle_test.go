package shape_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/shape"
)

func script(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(testenv.Python(t, "oracle"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// judged are operators of which ONNX has test models; the last ones are
// functions, whose expanded forms are graphs of the others.
var judged = strings.Fields(`Add Sub Mul Div Mod Pow Min Max Sum Mean And Or Xor Not Equal Less LessOrEqual Greater
	GreaterOrEqual Sqrt Tanh Erf Gelu Relu Neg Exp Log Abs Sigmoid Clip Identity Where Cast CastLike MatMul Gemm
	LayerNormalization Softmax LogSoftmax QuantizeLinear DequantizeLinear DynamicQuantizeLinear MatMulInteger Gather
	GatherElements GatherND ScatterND ScatterElements Slice Concat Split Reshape Transpose Unsqueeze Squeeze Expand Flatten
	Tile Pad Shape Size Range Constant ConstantOfShape CumSum Trilu NonZero TopK ArgMax ArgMin Dropout IsNaN IsInf
	ReduceMean ReduceMax ReduceMin ReduceSum ReduceProd ReduceL2 ReduceSumSquare If`)

// ONNX states the type and the shape of the outputs of its test models. No
// statement is contradicted; nothing is without a type; what is open depends on
// data that are inputs in these models.
func TestInferAgreesWithONNXsCases(t *testing.T) {
	dir := t.TempDir()
	script(t, append([]string{filepath.Join("testdata", "infer.py"), "cases", dir}, judged...)...)
	paths, err := filepath.Glob(filepath.Join(dir, "*.onnx"))
	if err != nil || len(paths) < 500 {
		t.Fatalf("%d models, %v", len(paths), err)
	}
	exact := 0
	for _, path := range paths {
		m, err := onnx.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		exact += judge(t, filepath.Base(path), m)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d models, %d outputs known as a whole", len(paths), exact)
	if exact < 1100 {
		t.Errorf("only %d outputs are known as a whole", exact)
	}
}

// judge infers a model without what its outputs state, and counts those that
// are known as a whole.
func judge(t *testing.T, name string, m *onnx.Model) (exact int) {
	t.Helper()
	g := m.Graph()
	stated := slices.Clone(g.Output)
	for i, out := range stated {
		if out.GetType().GetTensorType() == nil {
			return 0 // a sequence or an optional
		}
		g.Output[i] = onnx.ValueInfo(out.GetName(), 0)
		g.Output[i].Type = nil
	}
	err := shape.Infer(m)
	if err != nil && !strings.Contains(err.Error(), "is not known") {
		t.Errorf("%s: %v", name, err)
	}
	for i, want := range stated {
		wantType, wantDims := onnx.TypeOf(want)
		typ, dims := onnx.TypeOf(g.Output[i])
		last := g.GetNode()[len(g.GetNode())-1].GetOpType()
		if typ == 0 && (err != nil || !slices.Contains(judged, last)) {
			continue // made by an operator that is rare, or from what it makes
		}
		if typ != wantType || dims != nil && wantDims != nil && len(dims) != len(wantDims) {
			t.Errorf("%s: output %d is %s %v, stated %s %v", name, i, typ, dims, wantType, wantDims)
			continue
		}
		open := dims == nil
		for k, d := range dims {
			open = open || d == onnx.Fixed(-1)
			if d != onnx.Fixed(-1) && wantDims != nil && d != wantDims[k] {
				t.Errorf("%s: output %d is %v, stated %v", name, i, dims, wantDims)
			}
		}
		if !open {
			exact++
		}
	}
	return exact
}

// Decoders that PyTorch exported, whose shapes are computed in the graph: every
// value of them has a type and a shape, and that is what ONNX Runtime computes,
// also without a past.
func TestInferForeignDecoders(t *testing.T) {
	dir := t.TempDir()
	names := []string{"gpt2", "opt", "llama"}
	script(t, append([]string{filepath.Join("..", "..", "quant", "testdata", "oracle.py"), "torch", dir}, names...)...)
	args := []string{filepath.Join("testdata", "infer.py"), "run"}
	for _, name := range names {
		m, err := onnx.Load(filepath.Join(dir, name+".onnx"))
		if err != nil {
			t.Fatal(err)
		}
		m.Graph().ValueInfo = nil
		if err := shape.Infer(m); err != nil {
			t.Error(err)
		}
		path := filepath.Join(dir, name+"-inferred.onnx")
		if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	out := script(t, args...)
	t.Log(out)
	if strings.Count(out, " 0 missing, 0 open") != len(names) {
		t.Error(out)
	}
}
