// Package ortcuda builds engines for ONNX Runtime's CUDA execution provider: the
// graph as ONNX Runtime rewrites it for that provider, saved.
//
//	b := &ortcuda.Builder{Start: start, ONNXRuntime: "1.31.1", GPU: gpu}
//	manifest, err := b.Build(ctx, request, dir, counter)
//
// ONNX Runtime leaves to the CPU what the provider does not take, without a word,
// and starts a session on the CPU alone where a library is missing. Here the first
// is allowed for the arithmetic of shapes only, and named in the manifest; anything
// else on the CPU, and a missing library, fail the build. The precision is the
// graph's; TF32 is off unless it is asked for. INT8 is refused: the provider has no
// products for Q/DQ graphs and would compute them in float.
package ortcuda
