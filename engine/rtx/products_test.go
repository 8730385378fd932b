package rtx

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Lines as NVIDIA's builder prints them, without what is not read: an integer
// product in two profiles, one whose scales lie on the wrong axis, one whose
// weights alone are INT8, a layer that made of a product's bias, and attention in
// one kernel, of integers and of halves.
const account = "Name: /a/MatMul_myl1_2, LayerType: gemm, Inputs: [ { Datatype: Int8 }], Constants: [ { Datatype: Int8 }], Outputs: [ { Datatype: Half }], Metadata: [ONNX Layer: w/DequantizeLinear]\x1f[ONNX Layer: /a/MatMul]\n" +
	"Name: /a/MatMul [profile 1]_myl3_2, LayerType: gemm, Inputs: [ { Datatype: Int8 }], Constants: [ { Datatype: Int8 }], Outputs: [ { Datatype: Half }], Metadata: [ONNX Layer: w/DequantizeLinear]\x1f[ONNX Layer: /a/MatMul]\n" +
	"Name: __myl_CastMulCastMulCastFc_myl1_2, LayerType: runtime_fusion, Inputs: [ { Datatype: Int8 }], Constants: [ { Datatype: Int8 }], Outputs: [ { Datatype: Float }], Metadata: [ONNX Layer: /b/MatMul]\n" +
	"Name: /c/MatMul_myl1_2, LayerType: gemm, Inputs: [ { Datatype: Half }], Constants: [ { Datatype: Int8 }], Outputs: [ { Datatype: Half }], Metadata: [ONNX Layer: /c/MatMul]\n" +
	"Name: kgen_1, LayerType: kgen, Inputs: [ { Datatype: Int8 }], Outputs: [ { Datatype: Half }], Metadata: [ONNX Layer: /a/MatMul]\x1f[ONNX Layer: /a/Add]\n" +
	"Name: _gemm_mha_v2_myl1_5, LayerType: kgen, Inputs: [ { Datatype: Int8 }, { Datatype: Float }, { Datatype: Int8 }], Outputs: [ { Datatype: Int8 }], Metadata: [ONNX Layer: /d/MatMul]\x1f[ONNX Layer: /d/Softmax]\x1f[ONNX Layer: /d/MatMul_1]\n" +
	"Name: _gemv_mha_v1_myl3_6, LayerType: kgen, Inputs: [ { Datatype: Half }], Outputs: [ { Datatype: Half }], Metadata: [ONNX Layer: /e/MatMul]\n" +
	"Name: none, LayerType: shape_call, Inputs: [], Metadata: \n"

func TestIntegers(t *testing.T) {
	counts, err := integers(strings.NewReader(account))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"/a/MatMul": 2, "w/DequantizeLinear": 2, "/d/MatMul": 1, "/d/Softmax": 1, "/d/MatMul_1": 1}, counts); d != "" {
		t.Error(d)
	}
	if err := keeps([]string{"/a/MatMul"}, counts, 2); err != nil {
		t.Error(err)
	}
	for _, v := range []struct {
		products []string
		profiles int
		want     string
	}{
		{[]string{"/a/MatMul", "/b/MatMul", "/c/MatMul"}, 2, "2 of 3 quantized matrix products are not computed in INT8 in each of 2 profiles: /b/MatMul, /c/MatMul"},
		{[]string{"/a/MatMul"}, 3, "1 of 1"},
		{[]string{"/a/MatMul", "/a/MatMul"}, 2, "2 of 2"}, // two products of one name
	} {
		if err := keeps(v.products, counts, v.profiles); err == nil || !strings.Contains(err.Error(), v.want) {
			t.Errorf("%v in %d profiles: %v", v.products, v.profiles, err)
		}
	}
	layers, err := Layers(strings.NewReader(account))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"gemm Int8": 2, "gemm Half": 1, "fused_gemm Float": 1, "kgen Int8": 2, "kgen Half": 1, "shape_call": 1}, layers); d != "" {
		t.Error(d)
	}
}
