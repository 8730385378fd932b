// Package orttrt builds engines of ONNX Runtime's TensorRT execution provider.
//
// An engine of this provider is made when a session is created, and only its first
// profile can ever run. It is kept in a directory under a name that says nothing
// about weights or options, is built again when the options name an input that it
// has not, and is silently replaced by the CPU where a library is missing. So here
// each engine has a directory of its own, its profile is stated in full and read
// back from what the provider wrote, the nodes must all be TensorRT's in one
// subgraph, and precision stands in the graph: what TensorRT 10 took from flags,
// TensorRT 11 ignores.
//
//	b := &orttrt.Builder{Start: start, ONNXRuntime: "1.31.1", TensorRT: "10.13.3", GPU: gpu}
//	manifest, err := b.Build(ctx, request, dir, counter)
//
// What is built is an EPContext model with its engine beside it or inside: an .onnx
// file of one node, which a session on the same GPU opens without the graph. A plan
// of one wide profile makes one; with [Choices].Split, prefill and decode are an
// engine each. [Provider] is how it is opened.
//
// The work is done in the ONNX Runtime child, as job [JobBuild], by the GPU build
// of ONNX Runtime. Without a GPU everything up to the creation of the session is
// tested; docs/gpu-verification.md lists the rest.
package orttrt
