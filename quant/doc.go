// Package quant makes the typed graphs that engines run: FP16, BF16 and INT8.
//
// Explicit precision is the only kind that means the same on ONNX Runtime,
// TensorRT 10, 11 and TensorRT for RTX: every element type stands in the graph,
// every change of type is a Cast or a QuantizeLinear/DequantizeLinear pair, and
// no builder flag is needed.
//
//	half, err := quant.Half(m, quant.HalfOptions{})          // weights and activations in float16
//	int8, decisions, err := quant.Int8(m, table, quant.Policy{}) // INT8 matmuls in a float32 graph
//	both, err := quant.Half(int8, quant.HalfOptions{})       // INT8 matmuls in a float16 graph
//	half, kept, err := quant.Narrow(m, quant.HalfOptions{Table: table}) // and what stays float32, and why
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
// A narrow graph computes in float32 what its type is known to lose (statistics,
// Softmax and its masks, angles) and, in float16, what calibration saw within a
// factor 2 of 65,504 or beyond ([Ranged] lists what to observe): on text that
// they were not calibrated on, the demo model's tensors reach 1.28 times as far.
// bfloat16 has float32's exponent, so nothing overflows, and 8 bits, so it costs
// more. ONNX Runtime's CPU provider shows neither: it computes float16 in
// float32 between casts and lacks most bfloat16 kernels. The tests therefore ask
// ONNX's reference implementation and NVIDIA's builder.
//
// The scales of an INT8 graph become narrow too, for NVIDIA's builder wants one
// type for the scales of both operands; [RoundScales] makes levels that fit them.
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
