package quant

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"

	"github.com/trtforge/trtforge/onnx"
)

// asScale is a scale as a graph of that type holds it: the nearest, and never zero.
func asScale(v float32, to onnx.DType) float32 {
	if to == onnx.BFloat16 {
		u := math.Float32bits(v)
		return math.Float32frombits((u + 0x7fff + u>>16&1) &^ 0xffff)
	}
	return max(float16.Fromfloat32(v).Float32(), 0x1p-24)
}

// TestRoundScales quantizes weights for narrow graphs with both kinds of scales
// and compares what the narrow scales give back with the weights.
func TestRoundScales(t *testing.T) {
	const rows, cols = 256, 64
	for _, c := range []struct {
		to     onnx.DType
		std    float64
		better float64 // the least relative gain in mean squared error that is asked
	}{
		{onnx.Float16, 0.02, 0}, {onnx.BFloat16, 0.02, 0.02}, {onnx.Float16, 2e-5, 0.2}, {onnx.Float16, 1e-8, 0},
	} {
		r := rand.New(rand.NewPCG(3, 3))
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(r.NormFloat64() * c.std)
		}
		w := onnx.Floats("w", []int64{rows, cols}, values...)
		mse := func(choose func(*onnx.Weight, int) ([]float32, error)) (sum float64) {
			scale, err := choose(w, 1)
			if err != nil {
				t.Fatal(err)
			}
			levels, err := quantize(w, "q", 1, scale).Bytes()
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range levels {
				s := asScale(scale[i%cols], c.to)
				sum += math.Pow(float64(int8(l))*float64(s)-float64(values[i]), 2)
			}
			return sum
		}
		before, after := mse(scales), mse(RoundScales(c.to, nil))
		t.Logf("%s, weights of %g: the squared error falls by %.2f %%", c.to, c.std, 100*(1-after/before))
		if gain := 1 - after/before; gain < c.better {
			t.Errorf("%s, weights of %g: the squared error falls by %.2f %%, at least %.2f %% is asked", c.to, c.std, 100*gain, 100*c.better)
		}
		rounded, err := RoundScales(c.to, nil)(w, 1)
		if err != nil {
			t.Fatal(err)
		}
		exact, err := scales(w, 1)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range rounded {
			if s != asScale(s, c.to) || s <= 0 || 127*exact[i]/s > 127.5 {
				t.Errorf("%s: scale %g of %g", c.to, s, exact[i])
			}
		}
	}
}
