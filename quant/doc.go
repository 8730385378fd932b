// Package quant makes the typed graphs that engines run: FP16, BF16 and INT8.
//
// Explicit precision is the only kind that means the same on ONNX Runtime,
// TensorRT 10, 11 and TensorRT for RTX: every element type stands in the graph,
// every change of type is a Cast or a QuantizeLinear/DequantizeLinear pair, and
// no builder flag is needed.
//
//	fp16, kept, err := half.Convert(m, half.Options{})            // weights and activations in float16
//	int8, decisions, err := quant.Int8(m, table, quant.Policy{}) // INT8 matmuls in a float32 graph
//	both, kept, err := half.Convert(int8, half.Options{})         // INT8 matmuls in a float16 graph
//
// [Apply] does what a [Recipe] says, all of it, and says what it decided; quant/half
// is the narrow types, quant/search finds what each product costs.
//
// Before INT8, Smooth moves what makes activations hard to round into the weights
// behind them, so that the float32 graph stays the same function:
//
//	m, table, folds, err := quant.Smooth(m, table, quant.SmoothOptions{})
//
// Each takes a model and returns a new one that shares what did not change, so
// the original is closed last. Weights are converted while the result is read
// (onnx.Save): no step holds more than one weight.
//
// [RoundScales] makes levels for an INT8 graph that becomes narrow.
//
// Weights alone become INT8 with Policy.WeightOnly. Nodes are laid out so that the
// builders keep what the graph says: ONNX Runtime's integer kernels want a
// QuantizeLinear with one consumer and no Gemm, NVIDIA's want a joint projection
// that is not split right behind the product.
//
// The graphs are read structurally, by operators and types; names are never
// needed, so exports of other tools are treated like our own. The package does
// not measure activation ranges (calib), does not run models, and leaves graphs
// with control flow (If, Loop) alone: it refuses them by name.
package quant
