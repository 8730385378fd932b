// Package half makes float16 and bfloat16 graphs of float32 ones.
//
// Every type is explicit: values are narrow, what a narrow type is known to lose
// computes in float32 (statistics, Softmax and its masks, angles), and a Cast stands
// wherever one kind meets the other.
//
//	observe, err := half.Ranged(m)                                    // what to calibrate
//	narrow, kept, err := half.Convert(m, half.Options{Table: table}) // and what stays float32, and why
//
// In float16, what calibration saw within a factor 2 of 65,504 or beyond stays
// float32 too: on text that they were not calibrated on, the demo model's tensors
// reach 1.28 times as far. bfloat16 has float32's exponent, so nothing overflows,
// and 8 bits, so it costs more. ONNX Runtime's CPU provider shows neither: it
// computes float16 in float32 between casts and lacks most bfloat16 kernels. The
// tests therefore ask ONNX's reference implementation and NVIDIA's builder.
//
// An INT8 graph becomes narrow around its products, and so do their scales, for
// NVIDIA's builder wants one type for the scales of both operands; [RoundScale] is
// for who chooses the levels.
//
// Weights are converted while the result is read (onnx.Save). The package does not
// measure ranges (calib), quantizes nothing (quant) and refuses control flow.
package half
