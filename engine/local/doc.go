// Package local gives the builders that need the GPU of this machine: ONNX Runtime's
// TensorRT and CUDA providers, and trtexec.
//
// What they load is found here, the driver and the GPU first; where something is
// missing the answer is an error of class missing that names all of it, in well
// under a second, and never a builder that would fall back to something slower:
//
//	b, err := local.Builder(ctx, doctor.ThisMachine(version), "orttrt", local.Options{})
//
// It builds nothing itself and installs nothing.
package local
