package engine

import (
	"slices"
	"testing"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
	"github.com/trtforge/trtforge/onnx/onnxpb"
)

// TestPrecisionOf tells graphs of one matrix product by what feeds it.
func TestPrecisionOf(t *testing.T) {
	node := func(op, out string, in ...string) *onnxpb.NodeProto {
		return &onnxpb.NodeProto{OpType: op, Input: in, Output: []string{out}}
	}
	dq := func(from, out string) *onnxpb.NodeProto { return node("DequantizeLinear", out, from, "s") }
	for name, v := range map[string]struct {
		want   Precision
		weight onnx.DType
		nodes  []*onnxpb.NodeProto
	}{
		"fp32":                   {FP32, onnx.Float32, []*onnxpb.NodeProto{node("MatMul", "y", "x", "w")}},
		"fp16":                   {FP16, onnx.Float16, []*onnxpb.NodeProto{node("MatMul", "y", "x", "w")}},
		"bf16":                   {BF16, onnx.BFloat16, []*onnxpb.NodeProto{node("MatMul", "y", "x", "w")}},
		"int8":                   {INT8, onnx.Int8, []*onnxpb.NodeProto{dq("q", "a"), dq("w", "b"), node("MatMul", "y", "a", "b")}},
		"int8, weight turned":    {INT8, onnx.Int8, []*onnxpb.NodeProto{dq("q", "a"), dq("w", "b"), node("Transpose", "c", "b"), node("MatMul", "y", "a", "c")}},
		"int8, integer operator": {INT8, onnx.Int8, []*onnxpb.NodeProto{node("MatMulInteger", "y", "x", "w")}},
		"w8":                     {W8, onnx.Int8, []*onnxpb.NodeProto{dq("w", "b"), node("MatMul", "y", "x", "b")}},
	} {
		m := onnx.New("g")
		m.Graph().Initializer = []*onnxpb.TensorProto{{Name: "w", DataType: int32(v.weight)}}
		m.Graph().Node = v.nodes
		if got := PrecisionOf(m); got != v.want {
			t.Errorf("%s: got %s", name, got)
		}
		if err := CheckGraph(m, v.want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := CheckGraph(m, "fp8"); fault.Classify(err) != fault.Input {
			t.Errorf("%s as fp8: %v", name, err)
		}
	}
}

// TestQuantized finds the products of integers, whatever only moves their operands.
func TestQuantized(t *testing.T) {
	m := onnx.New("g")
	m.Graph().Node = []*onnxpb.NodeProto{
		onnx.Node("DequantizeLinear", "", []string{"q", "s"}, []string{"a"}),
		onnx.Node("DequantizeLinear", "", []string{"w", "s"}, []string{"b"}),
		onnx.Node("Transpose", "", []string{"b"}, []string{"c"}),
		onnx.Node("Cast", "", []string{"c"}, []string{"d"}),
		onnx.Node("Relu", "", []string{"a"}, []string{"e"}),
		onnx.Node("MatMul", "direct", []string{"a", "b"}, []string{"y0"}),
		onnx.Node("Gemm", "moved", []string{"a", "d"}, []string{"y1"}),
		onnx.Node("MatMul", "weights alone", []string{"x", "d"}, []string{"y2"}),
		onnx.Node("MatMul", "computed", []string{"e", "d"}, []string{"y3"}),
	}
	var names []string
	for _, n := range Quantized(m) {
		names = append(names, n.GetName())
	}
	if !slices.Equal(names, []string{"direct", "moved"}) {
		t.Errorf("%q", names)
	}
}
