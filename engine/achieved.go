package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
)

// products are the layer classes that precision is about: matrix products, by
// the words that ONNX Runtime and TensorRT use in lower case.
var products = []string{"gemm", "matmul", "matrix_multiply", "matrixmultiply", "fully_connected", "convolution", "myelin_gemm"}

// Achieved is the narrowest type among the matrix products that a builder's
// account of layers shows; an error of class runtime where it is not the one that
// was asked for.
func Achieved(want Precision, layers map[string]int) (Precision, error) {
	count := map[Precision]int{}
	for layer, n := range layers {
		class, typ, _ := strings.Cut(layer, " ")
		if slices.ContainsFunc(products, func(p string) bool { return strings.Contains(strings.ToLower(class), p) }) {
			count[precisionOf(typ)] += n
		}
	}
	got := FP32
	switch {
	case count[INT8] > 0:
		got = INT8
	case count[BF16] > 0:
		got = BF16
	case count[FP16] > 0:
		got = FP16
	}
	if want == W8 && got != INT8 {
		return W8, nil
	}
	if got != want {
		return got, fault.New(fault.Runtime, "checking that the engine is", string(want),
			fmt.Sprintf("its matrix products run in %s; layers: %s", got, describe(layers)),
			"check that the graph is typed and that scales lie on the weight's output axis")
	}
	return got, nil
}

// Accounts tells whether a builder's account of layers says anything of matrix
// products; one that does not is no ground for [Achieved].
func Accounts(layers map[string]int) bool {
	for layer := range layers {
		class, _, _ := strings.Cut(layer, " ")
		if slices.ContainsFunc(products, func(p string) bool { return strings.Contains(strings.ToLower(class), p) }) {
			return true
		}
	}
	return false
}

func precisionOf(typ string) Precision {
	switch t := strings.ToLower(typ); {
	case strings.Contains(t, "int8"):
		return INT8
	case strings.Contains(t, "bfloat16"), strings.Contains(t, "bf16"):
		return BF16
	case strings.Contains(t, "half"), strings.Contains(t, "float16"), strings.Contains(t, "fp16"):
		return FP16
	}
	return FP32
}

func describe(layers map[string]int) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(layers)) {
		all = append(all, fmt.Sprintf("%d %s", layers[k], k))
	}
	return strings.Join(all, ", ")
}
