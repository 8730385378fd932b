// Package tableio translates calibrated ranges between our table and the files
// of TensorRT and ONNX Runtime.
//
// Up to TensorRT 10 a builder took INT8 ranges from a calibration cache; ONNX
// Runtime's TensorRT provider takes them from such a cache or from a FlatBuffers
// table of its own. TensorRT 11 has neither calibrators nor dynamic ranges: there
// a graph with Q/DQ nodes (package quant) is the only way, and [Write] refuses to
// make a cache for it.
//
//	in, err := tableio.ReadFile("model.cache") // any form, told by its content
//	err = tableio.WriteFile("table.json", in.Table, tableio.JSON, tableio.Options{})
//
// The foreign files keep one magnitude a tensor, no more: what was seen below and
// above zero, the channels, the digests of model and text are lost on the way out
// and unknown on the way in ([File.Notes] says so). It measures nothing and
// changes no magnitude but for the rounding of amax/127 to float32.
package tableio
