// Package sidecar reads the .profile that ONNX Runtime's TensorRT execution
// provider keeps beside a cached engine.
//
// The provider rebuilds an engine whose .profile differs from the options of a
// session, without a word at the usual log level, so people need to see what is in
// it:
//
//	f, err := sidecar.Read(b, path)
//	all := f.Fill(contract)
//
// The file is a FlexBuffers map from input to a typed vector of integers. Since
// ONNX Runtime 1.15 (version 2) these are dim, min, max, opt for each dynamic
// dimension and each profile of it; until 1.14 (version 1) dim, min, max, of one
// profile. It tells dynamic dimensions only: sizes that the graph fixes are
// [profiles.Unknown] until a contract fills them in, and so is the optimum of version
// 1. Of a shape tensor dim counts values.
//
// It writes none, and reads no other FlexBuffers: a map of vectors of integers is
// all that is looked for, so there is no depth to bound.
package sidecar
