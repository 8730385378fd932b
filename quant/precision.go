package quant

import (
	"slices"
	"strings"

	"github.com/trtforge/trtforge/internal/fault"
	"github.com/trtforge/trtforge/onnx"
)

// Precision is what a typed graph computes in.
type Precision string

// The precisions. The name before the plus is that of the quantized products,
// the one behind it that of everything else, which is float32 where none stands.
const (
	FP32     Precision = "fp32"
	FP16     Precision = "fp16"
	BF16     Precision = "bf16"
	INT8     Precision = "int8"
	INT8FP16 Precision = "int8+fp16"
	INT8BF16 Precision = "int8+bf16"
	W8       Precision = "w8" // weights in INT8, products in float
	W8FP16   Precision = "w8+fp16"
)

// Precisions are all of them, in the order in which help shows them.
var Precisions = []Precision{FP32, FP16, BF16, INT8, INT8FP16, INT8BF16, W8, W8FP16}

// Quantizes tells whether the products' weights become INT8.
func (p Precision) Quantizes() bool { return p.Calibrated() || p.WeightOnly() }

// Calibrated tells whether activations become INT8, which needs a table.
func (p Precision) Calibrated() bool { return p == INT8 || p == INT8FP16 || p == INT8BF16 }

// WeightOnly tells whether weights alone become INT8.
func (p Precision) WeightOnly() bool { return p == W8 || p == W8FP16 }

// Float is the type of what is not quantized.
func (p Precision) Float() onnx.DType {
	switch p {
	case FP16, INT8FP16, W8FP16:
		return onnx.Float16
	case BF16, INT8BF16:
		return onnx.BFloat16
	}
	return onnx.Float32
}

// Check refuses what is no precision.
func (p Precision) Check() error {
	if slices.Contains(Precisions, p) {
		return nil
	}
	names := make([]string, len(Precisions))
	for i, known := range Precisions {
		names[i] = string(known)
	}
	return fault.New(fault.Usage, "choosing the precision", string(p), "not one that trtforge knows", "want one of "+strings.Join(names, ", "))
}
