package shape_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/export"
	"github.com/trtforge/trtforge/internal/testenv"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/shape"
	"github.com/trtforge/trtforge/quant"
	"github.com/trtforge/trtforge/quant/half"
)

// ranges is a calibration table that nobody measured.
func ranges(t *testing.T, m *onnx.Model) *calib.Table {
	t.Helper()
	targets, err := quant.Targets(m, quant.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	table := &calib.Table{Ranges: map[string]calib.Range{}}
	for _, x := range targets {
		table.Ranges[x.Activation] = calib.Range{Lo: -3, Hi: 3, Amax: 3}
	}
	return table
}

// agrees holds the value_info of the models given to what onnx.shape_inference
// finds without it, and to the shapes that ONNX Runtime computes.
const agrees = `
import sys, numpy, onnx, onnxruntime
from onnx import TensorProto as T
size = {"batch_size": 2, "sequence_length": 3, "past_sequence_length": 4}
def shape(v):
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in v.type.tensor_type.shape.dim]
def concrete(dims):
    return [eval(d, {}, size) if isinstance(d, str) and d else d for d in dims]
def info(m):
    return {v.name: v for v in m.graph.value_info}
for path in sys.argv[1:]:
    onnx.checker.check_model(path, full_check=True)
    m = onnx.load(path)
    ours = info(m)
    outputs = {o.name for o in m.graph.output}
    made = [o for n in m.graph.node for o in n.output if o not in outputs]
    assert made == list(ours), (set(made) - set(ours), set(ours) - set(made))
    del m.graph.value_info[:]
    theirs = info(onnx.shape_inference.infer_shapes(m, strict_mode=True, data_prop=True))
    fixed = 0
    for name, v in theirs.items():
        a, b = shape(ours[name]), shape(v)
        assert ours[name].type.tensor_type.elem_type == v.type.tensor_type.elem_type, name
        assert len(a) == len(b), (name, a, b)
        for x, y in zip(a, b):
            assert x == y or not isinstance(y, int), (name, a, b)
            fixed += isinstance(y, int)
    assert fixed > 50, fixed
    unknown = [n for n in ours if "" in shape(ours[n])]
    allowed = [n for n in unknown if "model-last" in path and n.startswith(("/last/", "/ln_f/", "logits"))]
    assert unknown == allowed, unknown
    m.graph.output.extend(ours[n] for n in made)
    data = path + ".all.onnx"
    onnx.save_model(m, data, save_as_external_data=False)
    s = onnxruntime.SessionOptions()
    s.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = onnxruntime.InferenceSession(data, s, providers=["CPUExecutionProvider"])
    feeds = {}
    for v in m.graph.input:
        t = onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type)
        feeds[v.name] = numpy.ones(concrete(shape(v)), t)
    for name, x in zip(made, s.run(made, feeds)):
        want = concrete(shape(ours[name]))
        assert len(want) == x.ndim and all(w in (n, "") for w, n in zip(want, x.shape)), (name, want, x.shape)
        assert x.dtype == onnx.helper.tensor_dtype_to_np_dtype(ours[name].type.tensor_type.elem_type), name
`

// Every value of an exported graph, and of its quantized forms, has the
// type and the shape that it turns out to have.
func TestInferAgreesWithONNXAndRuntime(t *testing.T) {
	python := testenv.Python(t, "oracle")
	checkpoint, out := t.TempDir(), t.TempDir()
	if err := export.Random(checkpoint, export.Shape{Layers: 2, Width: 8, Heads: 2, Vocab: 40, Positions: 16, Std: 0.1}, 1); err != nil {
		t.Fatal(err)
	}
	args := []string{"-c", agrees}
	for _, v := range []export.Options{{Logits: export.All}, {Logits: export.Last}, {Cache: export.Static}} {
		m, err := export.GPT2(checkpoint, v)
		if err != nil {
			t.Fatal(err)
		}
		fp16, _, err := half.Convert(m, half.Options{})
		if err != nil {
			t.Fatal(err)
		}
		quantized, _, err := quant.Int8(m, ranges(t, m), quant.Policy{})
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range map[string]*onnx.Model{v.File(): m, "half-" + v.File(): fp16, "int8-" + v.File(): quantized} {
			if err := shape.Infer(m); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(out, name)
			if err := onnx.Save(m, path, onnx.SaveOptions{}); err != nil {
				t.Fatal(err)
			}
			args = append(args, path)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(python, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
