// Package orttrt asks ONNX Runtime's TensorRT EP for engines.
//
// An engine of this provider is made when a session is created, and only its first
// profile can ever run; it is kept in a directory under a name that says nothing
// about weights or options. So each engine has a directory of its own, its profile
// is stated in full, and precision stands in the graph: what TensorRT 10 took from
// flags, TensorRT 11 ignores.
//
//	options, err := orttrt.Choices{}.Options(plan.Profiles, dir, "prefill", timing, 10)
//
// It does not create the session: that needs a GPU, its driver and TensorRT.
package orttrt
