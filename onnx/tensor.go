package onnx

// Tensor is a dense value at run time: what a session is fed and what it
// returns. Bytes are row-major and little-endian, as in [Data].
type Tensor struct {
	Name  string
	Type  DType
	Dims  []int64
	Bytes []byte
}

// Float32s converts a float tensor (float32, float16 or bfloat16).
func (t Tensor) Float32s() ([]float32, error) {
	return (&Weight{Name: t.Name, Type: t.Type, Dims: t.Dims, Data: Memory(t.Bytes)}).Float32s()
}
