// Package onnx is the noun of trtforge: an ONNX model whose weights stay on disk.
//
// [Load] reads a file of any size: what it keeps in memory is the graph; each
// weight is a [Weight] whose bytes are read by offset when somebody asks,
// whether they stood in the file itself or in external data beside it. Rooms
// that change a model take a *Model and return a new one ([Model.Clone] copies
// the graph and shares the weights); [Save] streams it out again. A converted
// weight is a [Data] that converts while it is read, so no step ever holds the
// weights as a whole.
//
//	m, err := onnx.Load("model.onnx")
//	defer m.Close()
//	err = onnx.Save(m, "copy.onnx", onnx.SaveOptions{})
//
// [Check] reports every violation of the format at once, and [Model.Digest]
// identifies what a model computes, independent of the order of protobuf fields
// and of where its data lie.
//
// It does not run models (lm, internal/ort), does not know their shapes
// (onnx/shape), does not simplify them, and follows weights only inside the model's own directory: a file is untrusted.
package onnx
