package quant

import "github.com/trtforge/trtforge/onnx"

// Bytes is what a product's weight takes in the float type of the graph, and what
// it takes in INT8 with a scale of that type for each output channel.
func (t Target) Bytes(float onnx.DType) (plain, quantized int64) {
	size := float.Bits() / 8
	return t.In * t.Out * size, t.In*t.Out + t.Out*size
}
