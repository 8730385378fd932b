package lint

import (
	"maps"
	"slices"
	"strings"
)

// Operators are those that the lists name and those that decoders are made of.
func Operators() []string {
	usual := strings.Fields("Add Cast Concat Constant ConstantOfShape Cos Div Equal Erf Expand Gather Gemm If LayerNormalization " +
		"Less MatMul Mul Neg NonZero Pow Range ReduceMean Reshape ScatterND Shape Sigmoid Sin Slice Softmax Split Sqrt Squeeze Sub Tanh Transpose Trilu Unsqueeze Where")
	return slices.Concat(slices.Sorted(maps.Keys(lacks)), slices.Sorted(maps.Keys(adopted)), usual)
}

// Takes is what the lists say of an operator to TensorRT-RTX.
func Takes(op string) bool { return takes(RTX, op) || takes(RTX, "com.microsoft."+op) }
