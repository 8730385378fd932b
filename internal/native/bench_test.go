package native

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/trtforge/trtforge/calib"
	"github.com/trtforge/trtforge/onnx"
)

// BenchmarkObservation counts what a layer of GPT-2 124M gives for a window of
// 128 tokens: a layer norm's output, and a GELU's, half of it near zero.
func BenchmarkObservation(b *testing.B) {
	Use()
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name  string
		width int
		value func() float32
	}{
		{"norm", 768, func() float32 { return float32(r.NormFloat64()) }},
		{"gelu", 3072, func() float32 {
			v := r.NormFloat64()
			return float32(v * 0.5 * math.Erfc(-v/math.Sqrt2))
		}},
	} {
		values := make([]float32, 128*c.width)
		for i := range values {
			values[i] = c.value()
		}
		w := onnx.Floats("x", []int64{1, 128, int64(c.width)}, values...)
		t := onnx.Tensor{Name: w.Name, Type: w.Type, Dims: w.Dims, Bytes: w.Data.(onnx.Memory)}
		b.Run(c.name, func(b *testing.B) {
			var o calib.Observation
			b.SetBytes(int64(len(t.Bytes)))
			for b.Loop() {
				if err := o.AddTensor(t); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(values)), "ns/value")
		})
	}
}
