// Package pack lays out what a server needs of an engine.
//
// [Triton] writes a model repository: the typed graph for the onnxruntime backend,
// whose TensorRT accelerator builds the engine on the server's GPU, or a plan for
// the tensorrt backend. [Tar] writes a directory as one archive for machines
// without a network. Both carry the manifest, checksums and a README that says
// where everything comes from.
//
//	err := pack.Triton(dir, pack.Model{Name: "gpt2", Graph: "model.onnx", Contract: c, Profiles: plan.Profiles, Release: "24.08"})
//	err := pack.Tar(w, dir)
//
// It does not start servers and does not decide which engine is good enough.
package pack
